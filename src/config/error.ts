import { SubflowError } from "../types/index.ts";

/** One fault of a configuration: where, what, and what to do. Lines and columns count from 1. */
export interface ConfigFault {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly problem: string;
  readonly hint?: string | undefined;
}

/** "file:line:column: problem (hint)", as compilers write it and editors jump to. */
export function formatFault({ file, line, column, problem, hint }: ConfigFault): string {
  return `${file}:${line}:${column}: ${problem}${hint ? ` (${hint})` : ""}`;
}

/** A configuration that cannot be used; says every fault at once. */
export class ConfigError extends SubflowError {
  readonly faults: readonly ConfigFault[];
  constructor(unsorted: readonly ConfigFault[]) {
    const faults = unsorted.toSorted((a, b) => a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column);
    super(faults.map(formatFault).join("\n"), { code: "CONFIG" });
    this.faults = faults;
  }
}
