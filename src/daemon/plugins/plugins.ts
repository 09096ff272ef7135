import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Config } from "../../config/index.ts";
import type { PolicyAsk, PolicyPlanned, RemotePolicy } from "../../engine/index.ts";
import { entryFile } from "../../plugin/index.ts";
import type { Millis } from "../../types/index.ts";
import type { Logger } from "../logger.ts";
import { Plugin } from "./plugin.ts";

export interface PluginsOptions {
  readonly log: Logger;
  readonly now: () => Millis;
  readonly onAnswer: (event: PolicyPlanned) => void;
  readonly onChange: (elsewhere: readonly RemotePolicy[]) => void;
}

const PROGRAM = { bundled: "plugin.mjs", built: join("..", "..", "plugin", "main.js") };

/** The policies of a configuration that are in processes of their own. Made before the daemon gives up its rights. */
export class Plugins implements Disposable {
  readonly #options: PluginsOptions;
  readonly #plugins = new Map<string, { readonly file: string; readonly plugin: Plugin }>();

  constructor(plugins: Config["plugins"], options: PluginsOptions) {
    this.#options = options;
    const program = entryFile(import.meta.url, PROGRAM);
    for (const [name, file] of Object.entries(plugins)) {
      const { log, now, onAnswer } = options;
      const readable = [dirname(program), dirname(realpathSync(file))].map((each) => join(each, "/"));
      const onChange = (): void => this.#tell();
      const plugin = new Plugin({ name, file, program, readable, log, now, onAnswer, onChange });
      this.#plugins.set(plugin.name, { file, plugin });
    }
  }

  [Symbol.dispose](): void {
    for (const { plugin } of this.#plugins.values()) plugin[Symbol.dispose]();
  }

  /** Starts them; not before the daemon has given up its rights. */
  begin(): void {
    for (const { plugin } of this.#plugins.values()) plugin.begin();
  }

  /** All of them, as the engine is to know them. */
  get standings(): readonly RemotePolicy[] {
    return [...this.#plugins.values()].map(({ plugin }) => plugin.standing);
  }

  ask(question: PolicyAsk): void {
    this.#plugins.get(question.policy)?.plugin.ask(question);
  }

  /** The files are read anew; one that was not there at the start needs rights that are gone. */
  reload(plugins: Config["plugins"]): void {
    for (const [name, file] of Object.entries(plugins)) {
      const known = this.#plugins.get(`plugin:${name}`);
      if (known?.file === file) known.plugin.restart();
      else
        this.#options.log.error(
          `plugin ${name} (${file}) is new: it runs when the daemon is started again; until then resilient plans`,
        );
    }
  }

  #tell(): void {
    this.#options.onChange(this.standings);
  }
}
