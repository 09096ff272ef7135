import type { EngineEvent } from "../../engine/index.ts";
import { KERNEL_HAPPENINGS, type KernelHappening, type Millis } from "../../types/index.ts";

/** Is it told by the kernel, as {@link happeningOf} has it? */
export function isOfKernel({ type }: EngineEvent): boolean {
  return KERNEL_HAPPENINGS.has(type);
}

/** What readers are told of an event of the kernel's; undefined: it is none. */
export function happeningOf(event: EngineEvent, at: Millis): KernelHappening | undefined {
  const { type } = event;
  switch (type) {
    case "connection.created":
    case "connection.established":
      return { kind: "event", at, type, token: event.token, path: event.path };
    case "connection.closed":
      return { kind: "event", at, type, token: event.token };
    case "subflow.established":
    case "subflow.priority": {
      const { token, path, localId, remoteId, backup } = event;
      const interfaceIndex = "interfaceIndex" in event ? event.interfaceIndex : undefined;
      return { kind: "event", at, type, token, path, localId, remoteId, backup, interfaceIndex };
    }
    case "subflow.closed": {
      const { token, path, localId, remoteId, errno, resetReason } = event;
      return { kind: "event", at, type, token, path, localId, remoteId, errno, resetReason };
    }
    case "address.announced": {
      const { token, remoteId, address, port } = event;
      return { kind: "event", at, type, token, remoteId, address, port };
    }
    case "address.removed":
      return { kind: "event", at, type, token: event.token, remoteId: event.remoteId };
    default:
      return undefined;
  }
}
