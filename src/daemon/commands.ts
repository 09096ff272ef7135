import type { CheckedRequest } from "../control/index.ts";
import type { Command } from "../engine/index.ts";

/** The engine's command of a request that changes the endpoint table or a connection; undefined for the others. */
export function commandOf({ method, params }: CheckedRequest): Command | undefined {
  switch (method) {
    case "endpoint.add":
    case "endpoint.delete":
    case "endpoint.change":
    case "limits.set":
      return { type: method, ...params } as Command;
    case "policy.set":
      return { type: method, token: params.token, policy: params.policy, given: params.parameters ?? {} };
    case "policy.unset":
      return { type: method, token: params.token };
    case "endpoint.flush":
      return { type: "endpoint.flush" };
    default:
      return undefined;
  }
}
