/** The shells that {@link completionScript} speaks. */
export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** A script that asks `subflow __complete` at every tab: it knows what the command knows, and what there is now. */
export function completionScript(shell: Shell): string {
  return SCRIPTS[shell];
}

const BASH = `# Completion of subflow for bash: source it, or put it into /etc/bash_completion.d/subflow
_subflow() {
  # Bash breaks words at colons, which addresses have: the line itself tells what was typed.
  local line="\${COMP_LINE:0:COMP_POINT}" IFS=$' \\t\\n'
  local -a words
  read -r -a words <<< "$line"
  case "$line" in *[[:space:]]) words+=("") ;; esac
  local current="\${words[\${#words[@]}-1]}" IFS=$'\\n' word
  COMPREPLY=()
  for word in $("\${words[0]/#\\~/$HOME}" __complete -- "\${words[@]:1}" 2>/dev/null); do
    if [ "$word" = ":files " ]; then
      compopt -o filenames 2>/dev/null
      COMPREPLY+=($(compgen -f -- "$current"))
    else
      COMPREPLY+=("$word")
    fi
  done
  # What stands before the last colon of the current word is on the line already.
  case "$current" in
    *:*)
      local before="\${current%"\${current##*:}"}" index
      for index in "\${!COMPREPLY[@]}"; do COMPREPLY[index]="\${COMPREPLY[index]#"$before"}"; done
      ;;
  esac
}
complete -F _subflow subflow
`;

const ZSH = `#compdef subflow
# Completion of subflow for zsh: put it as _subflow into a directory of $fpath, or source it after compinit
_subflow() {
  local -a found
  found=("\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ "\${found[1]}" == ":files " ]]; then
    _files
    shift found
  fi
  (( \${#found} )) && compadd -- "\${found[@]}"
}
if [ "\${funcstack[1]}" = "_subflow" ]; then _subflow "$@"; else compdef _subflow subflow; fi
`;

const FISH = `# Completion of subflow for fish: put it into ~/.config/fish/completions/subflow.fish
function __subflow_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  for word in ($words[1] __complete -- $words[2..-1] $current 2>/dev/null)
    if test "$word" = ":files "
      __fish_complete_path $current
    else
      echo $word
    end
  end
end
complete -c subflow -f -a '(__subflow_complete)'
`;

const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
