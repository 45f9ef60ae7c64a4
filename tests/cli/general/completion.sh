# The completion scripts know every command of `nibble help` and every option of each --help, in the shells that are here.
. "$LIB"
fails 2 '*none of bash, zsh and fish*' nibble completion csh
nibble help | sed -n 's/^  \([a-z]*\) .*/\1/p' | sort >commands
[ "$(wc -l <commands)" -gt 10 ]
! grep -q completion commands || exit 1 # it is for packagers
for c in $(grep -v '^help$' commands); do
  # "  -o, --out FILE   ..." gives "--out -o"
  nibble "$c" --help | sed -n 's/^ *-\([a-zA-Z]\), \(--[a-z0-9-]*\).*/\2 -\1/p; s/^ *\(--[a-z0-9-]*\).*/\1/p' | tr ' ' '\n' | sort -u >options.$c
  [ "$(wc -l <options.$c)" -ge 3 ]
done
for shell in bash zsh fish; do nibble completion $shell >nibble.$shell; done
same() { # NAME: have against want
  cmp -s want have || { echo "$1:" >&2; diff want have >&2; exit 1; }
}
choice=$(nibble quantize --help | sed -n 's/^.*--preset \([a-z|-]*\).*/\1/p' | tr '|' '\n')
[ -n "$choice" ]
mkdir files
: >files/aa.nbl

# bash: the function is called as the shell would.
cat >drive.bash <<'END'
source ./nibble.bash
ask() { COMP_WORDS=(nibble "$@"); COMP_CWORD=$#; COMPREPLY=(); _nibble; printf '%s\n' "${COMPREPLY[@]}" | sort -u; }
"$@"
END
bash drive.bash ask '' | grep -v -e '^--' >have
cp commands want
same "bash, commands"
for c in $(grep -v '^help$' commands); do
  bash drive.bash ask "$c" - >have
  cp options.$c want && same "bash, $c"
done
printf '%s\n' "$choice" | sort >want
bash drive.bash ask quantize --preset '' >have
same "bash, words"
bash drive.bash ask quantize --preset = '' >have
same "bash, words after ="
echo files/aa.nbl >want
bash drive.bash ask quantize -o files/ >have
same "bash, files of an option"
bash drive.bash ask verify files/ >have
same "bash, files"
: >want
bash drive.bash ask quantize --bits '' | grep -v '^$' >have || true
same "bash, numbers"

if command -v fish >/dev/null; then
  ask() { HOME=$PWD fish --no-config -c "source nibble.fish; complete -C 'nibble $1'" | sed 's/	.*//' | sort -u; }
  ask '' | grep -v '^-' >have
  cp commands want && same "fish, commands"
  for c in $(grep -v '^help$' commands); do
    { ask "$c --"; ask "$c -"; } | sed 's/=$//' | grep -e '^-' | sort -u >have
    sort -u options.$c >want && same "fish, $c"
  done
  printf '%s\n' "$choice" | sort >want
  ask "quantize --preset " >have && same "fish, words"
  ask "verify files/" >have
  echo files/aa.nbl >want && same "fish, files"
  ask "quantize -o files/" >have && same "fish, files of an option"
fi

if command -v zsh >/dev/null; then
  # The real completion system on a terminal; compadd is watched for what it is given.
  mkdir functions && cp nibble.zsh functions/_nibble
  cat >drive.zsh <<'END'
zmodload zsh/zpty
export HOME=$PWD TERM=dumb
zpty z zsh -f -i
zpty -w z 'PS1=; unsetopt zle_bracketed_paste 2>/dev/null; fpath=('$PWD'/functions $fpath); autoload -Uz compinit; compinit -u -D; zstyle ":completion:*" verbose no; LISTMAX=0
compadd() { if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi; typeset -a __h; builtin compadd -A __h "$@"; print -rl -- $__h >>'$PWD'/got; builtin compadd "$@" }
__done() { : >'$PWD'/done }; zle -C __ask complete-word __asked; __asked() { _main_complete; : >'$PWD'/done; compstate[insert]=; compstate[list]= }
bindkey "^I" __ask; : >'$PWD'/ready'
repeat 200; do [[ -e ready ]] && break; sleep 0.1; done
for line in "$@"; do
  rm -f got done
  zpty -w -n z "$line"$'\t'
  repeat 100; do [[ -e done ]] && break; sleep 0.1; done
  print -r -- "== $line"; [[ -e got ]] && cat got
  zpty -w -n z $'\x15'
done
zpty -d z
END
  set -- 'nibble '
  for c in $(grep -v '^help$' commands); do set -- "$@" "nibble $c --" "nibble $c -"; done
  zsh -f drive.zsh "$@" 'nibble quantize --preset ' 'nibble verify files/' >answers
  answer() { awk -v l="== $1" '/^== / {on = $0 == l; next} on' answers | sort -u; }
  answer 'nibble ' | grep -v '^-' | grep -v '^$' >have
  cp commands want && same "zsh, commands"
  for c in $(grep -v '^help$' commands); do
    { answer "nibble $c --"; answer "nibble $c -"; } | sed 's/[=+]$//' | grep -e '^-' | sort -u >have
    sort -u options.$c >want && same "zsh, $c"
  done
  printf '%s\n' "$choice" | sort >want
  answer 'nibble quantize --preset ' >have && same "zsh, words"
  answer 'nibble verify files/' | grep -q 'aa.nbl'
fi
