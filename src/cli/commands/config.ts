import { stringify } from "yaml";
import { CONFIG_SCHEMA, DEFAULT_CONFIG_FILE, loadConfig, unreachableTexts } from "../../config/index.ts";
import type { Context } from "../command.ts";
import { EXIT } from "../failure.ts";
import { type Json, renderJson } from "../json.ts";
import { parseOptions } from "../options.ts";

/** `config check`, `config show` and `config schema`. */
export async function run(context: Context): Promise<number> {
  const { values } = parseOptions(context);
  const { global, streams, command } = context;
  if (command.words[1] === "schema") {
    const { toJsonSchema } = await import("@valibot/to-json-schema");
    streams.out(renderJson(toJsonSchema(CONFIG_SCHEMA, { errorMode: "ignore" }) as unknown as Json, true));
    return EXIT.success;
  }
  const { config, files } = loadConfig(values.config);
  if (command.words[1] === "check") {
    const what = files.length === 0 ? `no file at ${DEFAULT_CONFIG_FILE}: the defaults hold` : files.join(", ");
    const warnings = unreachableTexts(config.rules);
    if (global.json) streams.out(renderJson({ valid: true, files: [...files], warnings }, global.pretty));
    else
      streams.out(
        [`valid: ${what}`, ...warnings.map((text) => `warning: ${text}`)].map((line) => `${line}\n`).join(""),
      );
    return EXIT.success;
  }
  if (global.json) streams.out(renderJson(config as unknown as Json, global.pretty));
  else {
    streams.out(`${files.map((file) => `# ${file}\n`).join("") || "# defaults\n"}${stringify(config)}`);
  }
  return EXIT.success;
}
