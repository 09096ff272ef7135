import { choosePolicy, delayOf, hostConfig, loadConfig, remoteAddressRules, rulesAt } from "../../config/index.ts";
import { checkGiven, type GivenValues } from "../../engine/index.ts";
import { policies } from "../../policies/index.ts";
import type { Otherwise } from "../../recording/index.ts";
import type { Millis } from "../../types/index.ts";
import { wrongArgument } from "../failure.ts";
import { nearest } from "../words.ts";

/** What the command line wants to be otherwise; undefined: nothing. @param time of the recording, for rules with times */
export function otherwiseOf(
  { policy, config: file }: { readonly policy?: string | undefined; readonly config?: string | undefined },
  time: Millis,
): Otherwise | undefined {
  const chosen = policy === undefined ? undefined : policyArgument(policy);
  if (file === undefined) {
    if (!chosen) return undefined;
    const plansPairs = chosen.policy !== "standard";
    return {
      treatment: chosen,
      host: (config, pathManager) => ({ ...config, plansPairs: pathManager === "userspace" && plansPairs }),
    };
  }
  const { config } = loadConfig(file);
  return {
    treatment: {
      ...(chosen ?? choosePolicy(config)),
      delay: delayOf(config.delay),
      rules: rulesAt(config.rules, new Date(time)),
      remoteAddresses: remoteAddressRules(config),
    },
    host: (_then, pathManager) => {
      const host = hostConfig(config, pathManager);
      return chosen ? { ...host, plansPairs: pathManager === "userspace" && chosen.policy !== "standard" } : host;
    },
  };
}

/** "active-backup hold_down=1s": a policy with what of it is given. */
function policyArgument(text: string): { readonly policy: string; readonly given: GivenValues } {
  const [name = "", ...words] = text.trim().split(/\s+/);
  const policy = policies.find((each) => each.name === name);
  if (!policy) {
    const names = policies.map((each) => each.name);
    const meant = nearest(name, names);
    throw wrongArgument(
      name,
      `it is no policy; ${meant ? `did you mean "${meant}"?` : `there are ${names.join(", ")}`}`,
    );
  }
  const written: Record<string, string> = {};
  for (const word of words) {
    const at = word.indexOf("=");
    if (at <= 0) throw wrongArgument(word, "a parameter is set as NAME=VALUE");
    written[word.slice(0, at)] = word.slice(at + 1);
  }
  const checked = checkGiven(policy, written);
  if ("fault" in checked) throw wrongArgument(text, checked.fault);
  return { policy: name, given: checked.given };
}
