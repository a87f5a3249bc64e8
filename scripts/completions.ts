/**
 * Writes the completions of the shells: `deno run -A scripts/completions.ts` after a change of the
 * command line; a test fails when they are stale.
 */
import {
  allCommands,
  type CommandModel,
  commandModel,
  type Flag,
  type Values,
} from "./commands.ts";

const NOTE = "Written by scripts/completions.ts";

/** Texts by their file's name, below deploy/completions. */
export function completions(model: CommandModel = commandModel()): Record<string, string> {
  return {
    "btblocker.bash": bash(model),
    "_btblocker": zsh(model),
    "btblocker.fish": fish(model),
  };
}

/** Without a command it runs: its flags may follow directly. */
function flagsOf(command: CommandModel, model: CommandModel): readonly Flag[] {
  if (command.path.length > 0) return command.flags;
  return [...command.flags, ...model.commands.find((one) => one.path[0] === "run")!.flags];
}

function names(flags: readonly Flag[]): string[] {
  return [...new Set(flags.flatMap(({ long, short }) => short === null ? [long] : [short, long]))];
}

function bash(model: CommandModel): string {
  const commands = allCommands(model);
  const cases = commands.map((command) => {
    const words = [
      ...command.commands.map(({ path }) => path.at(-1)!),
      ...names(flagsOf(command, model)),
    ];
    const file = command.argumentValues === "file" ? "\n      files=yes" : "";
    return `    "${command.path.join(" ")}")\n      words="${words.join(" ")}"${file}\n      ;;`;
  });
  const flags = [...new Map(commands.flatMap((one) => one.flags).map((one) => [one.long, one]))]
    .map(([, flag]) => flag).filter(({ takes }) => takes !== "none");
  const values = flags.map((flag) => {
    // A flag whose value may be left out takes words of its own, or the next flag.
    const optional = flag.takes === "optional" ? `; [[ $cur == -* ]] || return` : "; return";
    return `    ${flag.long}) ${bashValues(flag.values)}${optional} ;;`;
  });
  const paths = commands.filter(({ path }) => path.length > 0)
    .map(({ path }) => `"${path.join(" ")}"`).join(" | ");
  return `# bash completion of btblocker. ${NOTE}

_btblocker() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}
  local path="" word words="" files="" IFS=$' \\t\\n'
  COMPREPLY=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
    ${paths}) path="\${path:+$path }$word" ;;
    esac
  done
  case $prev in
${values.join("\n")}
  esac
  case $path in
${cases.join("\n")}
  esac
  if [[ $files && $cur != -* ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  else
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
  fi
}

complete -F _btblocker btblocker
`;
}

function bashValues(values: Values): string {
  if (values === "file") {
    return `compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur")`;
  }
  const words = values === "interface"
    ? "$(ls /sys/class/net 2>/dev/null)"
    : (values ?? []).join(" ");
  return `mapfile -t COMPREPLY < <(compgen -W "${words}" -- "$cur")`;
}

function zsh(model: CommandModel): string {
  return `#compdef btblocker
# zsh completion of btblocker. ${NOTE}

${allCommands(model).map((command) => zshFunction(command, model)).join("\n\n")}

_btblocker "$@"
`;
}

function zshName(path: readonly string[]): string {
  return ["_btblocker", ...path].join("_");
}

function zshFunction(command: CommandModel, model: CommandModel): string {
  const specs = flagsOf(command, model).flatMap((flag) => {
    const action = zshAction(flag);
    return names([flag]).map((name) => `'${name}[${zshText(flag.description)}]${action}'`);
  });
  const hasCommands = command.commands.length > 0;
  if (hasCommands) specs.push("'1: :->command'", "'*:: :->rest'");
  else if (command.argument !== "") {
    const files = command.argumentValues === "file" ? "_files" : " ";
    specs.push(`'*:${command.argument.replace(/\W/g, "")}:${files}'`);
  }
  const lines = specs.map((spec) => `    ${spec}`).join(" \\\n");
  const state = !hasCommands ? "" : `
  case $state in
  command)
    local -a commands=(
${
    command.commands.map(({ path, description }) =>
      `      '${path.at(-1)}:${zshText(description)}'`
    ).join("\n")
  }
    )
    _describe command commands
    ;;
  rest)
    case $words[1] in
${command.commands.map(({ path }) => `    ${path.at(-1)}) ${zshName(path)} ;;`).join("\n")}
    esac
    ;;
  esac`;
  return `${zshName(command.path)}() {
  local state
  _arguments -s \\
${lines}${state}
}`;
}

function zshAction({ takes, values, placeholder }: Flag): string {
  if (takes === "none") return "";
  const colon = takes === "optional" ? "::" : ":";
  const name = Array.isArray(values) ? "value" : placeholder.slice(1, -1);
  if (values === "file") return `${colon}${name}:_files`;
  if (values === "interface") return `${colon}${name}:_net_interfaces`;
  return `${colon}${name}:${values === null ? " " : `(${values.join(" ")})`}`;
}

function zshText(text: string): string {
  return text.replaceAll("'", "’").replace(/[[\]:\\]/g, (char) => `\\${char}`);
}

function fish(model: CommandModel): string {
  const lines = allCommands(model).flatMap((command) => [
    ...command.commands.map(({ path, description }) => {
      return `complete -c btblocker -n '${fishCondition(command)}' -f -a ${path.at(-1)} ` +
        `-d ${fishText(description)}`;
    }),
    ...flagsOf(command, model).map((flag) => fishFlag(command, flag)),
    ...command.argumentValues === "file"
      ? [`complete -c btblocker -n '${fishCondition(command)}' -F`]
      : [],
  ]);
  return `# fish completion of btblocker. ${NOTE}

# Whether the words so far, flags left out, are these commands.
function __btblocker_at
    set -l words (commandline -opc)[2..]
    set -l commands
    for word in $words
        contains -- $word ${[...new Set(commandWords(model))].join(" ")}
        and set -a commands $word
    end
    test "$commands" = "$argv"
end

complete -c btblocker -f
${lines.join("\n")}
`;
}

function commandWords(model: CommandModel): string[] {
  return allCommands(model).flatMap(({ path }) => path.slice(-1));
}

function fishCondition({ path }: CommandModel): string {
  return ["__btblocker_at", ...path].join(" ");
}

function fishFlag(
  command: CommandModel,
  { long, short, takes, values, description }: Flag,
): string {
  const parts = [`complete -c btblocker -n '${fishCondition(command)}'`];
  if (short !== null) parts.push(`-s ${short.slice(1)}`);
  parts.push(`-l ${long.slice(2)}`);
  if (takes === "required") parts.push(values === "file" ? "-r -F" : "-x");
  if (values === "interface") parts.push(`-a '(ls /sys/class/net)'`);
  if (Array.isArray(values)) parts.push(`-a '${values.join(" ")}'`);
  parts.push(`-d ${fishText(description)}`);
  return parts.join(" ");
}

function fishText(text: string): string {
  return `'${text.replace(/[\\']/g, (char) => `\\${char}`)}'`;
}

if (import.meta.main) {
  const directory = new URL("../deploy/completions/", import.meta.url);
  Deno.mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries(completions())) {
    Deno.writeTextFileSync(new URL(name, directory), text);
  }
}
