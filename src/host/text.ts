import { ENDPOINT_FLAG } from "../types/index.ts";
import type { HostChange } from "./actions.ts";
import { OUR_PROTOCOL, type PlannedRoute, RULE_PRIORITY } from "./routing.ts";

/** "subflow backup": the words of ip-mptcp(8), in its order. */
export function flagWords(flags: number): string {
  const order = ["signal", "subflow", "laminar", "backup", "fullmesh", "implicit"] as const;
  return order.filter((name) => flags & ENDPOINT_FLAG[name]).join(" ");
}

function words(...parts: (string | false | undefined)[]): string {
  return parts.filter((part) => part !== false && part !== undefined && part !== "").join(" ");
}

function family(number: number): string {
  return number === 10 ? "ip -6" : "ip";
}

function routeWords(route: PlannedRoute, nameOf: (interfaceIndex: number) => string): string {
  const { destination, destinationLength, gateway, outputInterface, table, priority, preferredSource } = route;
  return words(
    destination === undefined ? "default" : `${destination}/${destinationLength}`,
    gateway !== undefined && `via ${gateway}`,
    `dev ${nameOf(outputInterface)}`,
    `table ${table}`,
    preferredSource !== undefined && `src ${preferredSource}`,
    priority !== 0 && `metric ${priority}`,
    `proto ${OUR_PROTOCOL}`,
  );
}

/**
 * The `ip` or `sysctl` command that an action amounts to. `mptcp` is the program for endpoints and limits: `ip mptcp`, or
 * `subflow` where the table is the daemon's or ip(8) lacks a word.
 */
export function commandLine(
  action: HostChange,
  nameOf: (interfaceIndex: number) => string,
  mptcp: (action: HostChange) => string = () => "ip mptcp",
): string {
  const program = mptcp(action);
  switch (action.type) {
    case "endpoint.add": {
      const { address, port, id, flags, interfaceIndex } = action.endpoint;
      return words(
        `${program} endpoint add ${address}`,
        interfaceIndex !== 0 && `dev ${nameOf(interfaceIndex)}`,
        id !== 0 && `id ${id}`,
        port !== 0 && `port ${port}`,
        flagWords(flags),
      );
    }
    case "endpoint.delete":
      return `${program} endpoint delete id ${action.id}`;
    case "endpoint.flags": {
      const backup = action.flags & ENDPOINT_FLAG.backup ? "backup" : "nobackup";
      const fullmesh = action.flags & ENDPOINT_FLAG.fullmesh ? "fullmesh" : "nofullmesh";
      return `${program} endpoint change id ${action.id} ${backup} ${fullmesh}`;
    }
    case "endpoint.adopt":
      return `# adopt the endpoint ${action.address}`;
    case "limits.set":
      return `${program} limits set subflows ${action.limits.subflows} add_addr_accepted ${action.limits.addAddrAccepted}`;
    case "rule.add":
    case "rule.delete": {
      const { source, table, family: number } = action.rule;
      const verb = action.type === "rule.add" ? "add" : "delete";
      return `${family(number)} rule ${verb} from ${source} lookup ${table} priority ${RULE_PRIORITY} protocol ${OUR_PROTOCOL}`;
    }
    case "route.add":
    case "route.delete": {
      const verb = action.type === "route.add" ? "add" : "delete";
      return `${family(action.route.family)} route ${verb} ${routeWords(action.route, nameOf)}`;
    }
    case "sysctl.set":
      return `sysctl -w ${action.name}=${action.value}`;
  }
}

/** "+" for what comes, "-" for what goes, "~" for what changes: a plan as a diff. */
export function diffMark(action: HostChange): "+" | "-" | "~" {
  if (action.type.endsWith(".add")) return "+";
  return action.type.endsWith(".delete") ? "-" : "~";
}
