#!/bin/sh
# SPDX-License-Identifier: MIT
# The rules of CONTRIBUTING.md that a script can check: what each wing may include, names, lengths, licence lines,
# format, spelling, no printing or exiting below tools/. Every finding is one line; ends with the sum.
cd "$(dirname "$0")/.." || exit 1
p=0 f=0
bad() { echo "lint: $*"; f=$((f + 1)); }

WINGS="lib/base lib/kernels lib/model lib/quant lib/text formats eval convert api tools tools/serve apps/web"
sources() { for w in $WINGS; do ls "$w"/*.[ch] 2>/dev/null; done; }

# wing FOLDER PREFIX...: its files include only headers whose path begins with one of the prefixes.
wing() {
  folder=$1
  shift
  allowed=$(printf '|%s/' "$@")
  hit=$(grep -n -E '^ *# *include +"' "$folder"/*.[ch] | grep -v -E "\"(${allowed#|})")
  [ -z "$hit" ] && p=$((p + 1)) || bad "$folder may include $*, but:
$hit"
}
wing lib/base base
wing lib/kernels base kernels
wing lib/model base kernels model
wing lib/quant base kernels model quant
wing lib/text base text
wing formats base model text formats
wing eval base kernels model text formats eval
wing convert base kernels model quant text formats eval convert
wing api base kernels model quant text formats eval convert api
wing tools base kernels model quant text formats eval convert api tools
wing tools/serve base kernels model quant text formats eval convert api tools
wing apps/web base model text formats apps/web
for file in $(ls tools/*.[ch] formats/*.[ch] convert/*.c | grep -v -E 'cli\.c|cmd_bench'); do
  ! grep -q '"kernels/kernels.h"' "$file" || bad "$file includes kernels.h, which is for lib and eval"
done

for file in $(sources) tests/*.h tests/*/*.[ch] $(ls apps/*/*/src/main/cpp/*.c 2>/dev/null); do
  p=$((p + 1))
  before=$f
  n=$(wc -l <"$file" | tr -d ' ')
  [ "$n" -le 600 ] || bad "$file has $n lines (600 at most: split it)"
  head -n 1 "$file" | grep -q 'SPDX-License-Identifier: MIT' || bad "$file does not begin with its SPDX line"
  long=$(case $file in tests/hostile*) ;; *) awk "length(\$0) > 120 {print FNR; exit}" "$file" ;; esac)
  [ -z "$long" ] || bad "$file:$long is longer than 120 columns"
  [ "$f" = "$before" ] || p=$((p - 1))
done

# Blanks at line ends, and one spelling.
for file in $(git ls-files 2>/dev/null | grep -E '\.(c|h|sh|py|md|in|html|css|js|rb|yml|toml)$|Makefile$|Dockerfile$'); do
  hit=$(grep -n -m 1 -E '[ 	]+$' "$file") && bad "$file:${hit%%:*}: blanks at the end of the line"
  case $file in tests/lint.sh | tests/golden/chat_templates/*) continue ;; esac
  hit=$(grep -n -m 1 -i -E 'quantis(e|ing|ation|ier)' "$file") && bad "$file:${hit%%:*}: it is spelt quantize"
done
p=$((p + 1))

# `sh -e` goes on after a line that begins with `!`: such a line cannot fail.
hit=$(grep -n -E '^ *! [^|&]*$' tests/cli/*/*.sh)
[ -z "$hit" ] && p=$((p + 1)) || bad "tests that cannot fail (write: command && exit 1): $hit"
# And after a list of which any but the last command fails.
hit=$(grep -n -E '^(\[|[a-z_]+) .* && ' tests/cli/*/*.sh | grep -v -E '^[^:]*:[0-9]*:(if|elif|while|until|for|repeat|awk|sh) |\|\||\$\(cd|&& (exit|skip|return)')
[ -z "$hit" ] && p=$((p + 1)) || bad "conditions that cannot fail (write one a line): $hit"

# A checkout's path may hold blanks: a command that is split again must not hold it.
hit=$(grep -n -E '="[^"]*nibble [^"]*\$(DATA|TESTS|ROOT)' tests/cli/*/*.sh)
[ -z "$hit" ] && p=$((p + 1)) || bad "a path in a command that is split at blanks: $hit"

# Only tools print and end the process.
for file in $(sources | grep -v '^tools/'); do
  hit=$(grep -n -E '(^|[^a-z_])(printf|puts|putchar|perror|exit|abort|_exit) *\(|fprintf *\( *(stderr|stdout)' "$file" |
    grep -v -E '^[0-9]+: *(/?\*|//)' | head -n 1)
  [ -z "$hit" ] || bad "$file:$hit: only tools/ prints or exits"
done
p=$((p + 1))

# At most seven parameters. The public library's own functions (nibble_...) are what programs were built with, and
# libmicrohttpd says what it calls.
many=$(awk '
  FNR == 1 { s = "" }
  s == "" && (!/^[A-Za-z_]/ || /^[a-z_]+:$/) { next }
  { gsub(/\/\*.*\*\/ *$/, "") }
  { gsub(/__attribute__ *\(\([a-z_]*(\([^()]*\))?\)\)/, ""); s = s " " $0 }
  !/[;{}] *$/ { next }
  { text = whole = s; s = "" }
  text !~ /^[A-Za-z0-9_ *]+\(/ { next } # not a call of a macro, whose name is in capitals, either
  {
    name = text; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
    sub(/^[^(]*\(/, "", text)
    while (match(text, /\([^()]*\)/)) text = substr(text, 1, RSTART - 1) substr(text, RSTART + RLENGTH)
    sub(/\).*/, "", text)
    if (gsub(/,/, ",", text) >= 7 && name ~ /[a-z]/ && name !~ /^nibble_/ && whole !~ /MHD_Connection/) print FILENAME ":" FNR ": " name
  }' $(sources) tests/*.[ch] tests/*/*.[ch])
[ -z "$many" ] && p=$((p + 1)) || bad "functions of more than 7 parameters (give what belongs together a struct): $many"

# What other programs read: each is asked whether it can, where it is here.
try() { # NAME COMMAND...
  name=$1
  shift
  why=$("$@" 2>&1) && p=$((p + 1)) || bad "$name: $why"
}
for file in $(git ls-files '*.sh' 2>/dev/null | grep -v -E '^tests/cli/.*/'); do
  case $(head -n 1 "$file") in *bash*) try "$file" bash -n "$file" ;; *) try "$file" sh -n "$file" ;; esac
done
for file in debian/rules tools/packages/nibble.rb.in pyproject.toml action.yml api/libnibble.map $(git ls-files apps tests/apps | grep -E '\.(kts?|swift|java|txt|modulemap|sh)$'); do
  head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' || bad "$file does not begin with its SPDX line"
done
if python3 -c 'import ast' 2>/dev/null; then
  try "Python" python3 -c 'import ast, sys; [ast.parse(open(f).read(), f, feature_version=(3, 9)) for f in sys.argv[1:]]' \
    $(git ls-files 'api/python/*.py' 'tests/packages/*.py')
  long=$(awk 'length($0) > 120 {print FILENAME ":" FNR; exit}' $(git ls-files 'api/python/*.py'))
  [ -z "$long" ] || bad "$long is longer than 120 columns"
fi
if command -v ruby >/dev/null; then
  for file in tools/packages/nibble.rb.in tests/packages/formula.rb; do try "$file" ruby -wc "$file"; done
  try action.yml ruby -ryaml -e 'YAML.safe_load(File.read("action.yml")).fetch("runs").fetch("steps")'
fi
# The image: a base with a version, nothing kept of apt's lists, not root at the end.
docker=tools/packages/Dockerfile
grep -E '^FROM ' $docker | grep -q -v -E '^FROM [a-z]+:[a-z0-9.-]+( AS [a-z]+)?$' && bad "$docker: FROM wants a tag"
grep -E '^FROM .*:latest' $docker && bad "$docker: FROM wants a version"
[ "$(grep -c 'apt-get update' $docker)" = "$(grep -c 'rm -rf .*/var/lib/apt/lists' $docker)" ] || bad "$docker keeps apt's lists"
[ "$(sed -n '/^FROM/h; /^FROM/!H; ${g;p;}' $docker | sed -n 's/^USER //p' | tail -n 1)" = nibble ] || bad "$docker ends as root"
p=$((p + 1))

long=$(awk 'length($0) > 150 {print FILENAME ":" FNR; exit}' $(git ls-files apps tests/apps | grep -E '\.(kts?|swift|java)$'))
[ -z "$long" ] || bad "$long is longer than 150 columns"

twice=$(sources | sed "s|.*/||" | sort | uniq -d)
[ -z "$twice" ] && p=$((p + 1)) || bad "file names used twice:" $twice

# Public functions are nb_<module>_<verb>: the module is the header's name (or its first word), or a type nb_<noun>
# that some header defines. base/ has a vocabulary of its own, which everything else is written in.
VOCABULARY='nb_(mul|add|min|max|alloc|free|new|grow|round_up|fail|fail_in|bits_f32|f32_bits|bf16_f32|f32_bf16|f32_f16)'
types=$(cat $(sources | grep '\.h$') | grep -o -E '(\} |struct |enum )nb_[a-z0-9_]+' | sed 's/.* //' | sort -u | tr '\n' '|')
for file in $(sources | grep '\.h$' | grep -v -E '^(tools|api|apps)/|^lib/kernels/(v16|attention|elementwise|linear|gemm|gram|quant_fit|trellis_path|simd|b64|q8|tile|peak|float)'); do
  stem=$(basename "$file" .h)
  hit=$(grep -o -E '^(static inline |extern )?[a-z][a-zA-Z0-9_ ]*[ *]+[a-z_0-9]+\(' "$file" | grep -v -E '^typedef|^ |__attribute__|return' |
    sed -E 's/.*[ *]([a-z_0-9]+)\($/\1/' | grep -v -x -E "$VOCABULARY" |
    grep -v -E "^(nb_${stem%%_*}|nb_$stem|${types}nb_no_type)(_|\$)")
  [ -z "$hit" ] && p=$((p + 1)) || bad "$file: names that are not nb_<module>_<verb>:" $hit
done

if command -v clang-format >/dev/null 2>&1; then
  for file in $(make -s formatted); do
    clang-format --dry-run -Werror "$file" >/dev/null 2>&1 && p=$((p + 1)) || bad "$file is not as make format leaves it"
  done
  echo "$p passed, $f failed, 0 skipped"
else
  echo "skip: the format: clang-format is not here"
  echo "$p passed, $f failed, 1 skipped"
fi
[ "$f" -eq 0 ]
