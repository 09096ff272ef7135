import type { Address, AddressId, Token } from "../types/index.ts";
import type { GivenValues } from "./parameters.ts";

/** An endpoint as somebody asks for it: `ip mptcp endpoint add`. */
export interface EndpointRequest {
  readonly address: Address;
  /** undefined or 0: the table chooses one. */
  readonly id?: AddressId | undefined;
  /** Host order; 0 or undefined: none. */
  readonly port?: number | undefined;
  /** Sum of ENDPOINT_FLAG bits. */
  readonly flags: number;
  /** 0 or undefined: none. */
  readonly interfaceIndex?: number | undefined;
}

/** What an administrator may ask. Of the namespace's table: same meaning, checks and errors as the kernel's own (net/mptcp/pm_kernel.c). */
export type Command =
  | ({ readonly type: "endpoint.add" } & EndpointRequest)
  /** id 0 with an address: the initial address of the connections that have it. */
  | {
      readonly type: "endpoint.delete";
      readonly id: AddressId;
      readonly address?: Address | undefined;
      /** Nobody wants it away: its link, its network or its address was lost, and may be back in a moment. */
      readonly isLoss?: boolean | undefined;
    }
  | {
      readonly type: "endpoint.change";
      /** By id, or by address (and port) when no id is given. */
      readonly id?: AddressId | undefined;
      readonly address?: Address | undefined;
      readonly port?: number | undefined;
      /** Absolute: only `backup` and `fullmesh` are looked at (MPTCP_PM_CMD_SET_FLAGS). */
      readonly flags: number;
    }
  | { readonly type: "endpoint.flush" }
  | {
      readonly type: "limits.set";
      readonly subflows?: number | undefined;
      readonly addAddrAccepted?: number | undefined;
    }
  /** One connection is treated by another policy from now on. */
  | {
      readonly type: "policy.set";
      readonly token: Token;
      readonly policy: string;
      /** By name, as written. */
      readonly given: GivenValues;
    }
  /** One connection is treated again as the configuration says. */
  | { readonly type: "policy.unset"; readonly token: Token };
