import type { HostNote } from "./actions.ts";

/** Another program that sets MPTCP endpoints, and the command that makes it stop. */
export interface Rival {
  readonly name: string;
  readonly pid: number;
  readonly command: string;
}

/** Says once, and again when it changed, who else sets endpoints here and how to make it stop. */
export class Rivals {
  #said = "";

  note(rivals: readonly Rival[]): HostNote[] {
    const names = rivals.map(({ name, pid }) => `${name} ${pid}`).join();
    if (names === this.#said) return [];
    this.#said = names;
    return rivals.map(({ name, pid, command }) => ({
      type: "say",
      level: "warn",
      text: `${name} (process ${pid}) sets MPTCP endpoints here too; theirs are left alone. To turn it off: ${command}`,
    }));
  }
}
