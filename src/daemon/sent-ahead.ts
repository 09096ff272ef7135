import type { NetlinkError, Request, SentRequest } from "../netlink/index.ts";
import type { Token } from "../types/index.ts";
import { Writer } from "../wire/index.ts";

/** What went out for a connection before the engine asked for it; its first requests are compared with that. */
export class SentAhead {
  readonly #sent = new Map<Token, { readonly requests: readonly SentRequest[]; next: number }>();
  readonly #writer = new Writer();

  get isEmpty(): boolean {
    return this.#sent.size === 0;
  }

  add(token: Token, requests: readonly SentRequest[]): void {
    this.#sent.set(token, { requests, next: 0 });
  }

  /** Has this request gone out already? Then how the kernel took it. */
  take(token: Token, request: Request): { readonly error: NetlinkError | undefined } | undefined {
    const ahead = this.#sent.get(token);
    const sent = ahead?.requests[ahead.next];
    if (!ahead || !sent || !this.#isSame(request, sent.body)) return undefined;
    ahead.next++;
    return sent;
  }

  /** The engine has heard of all that went out. @returns the connections for which it did not ask for the same */
  end(): Token[] {
    const others = [...this.#sent].filter(([, { requests, next }]) => next < requests.length);
    this.#sent.clear();
    return others.map(([token]) => token);
  }

  #isSame(request: Request, body: Uint8Array): boolean {
    this.#writer.reset();
    request.write(this.#writer);
    const { bytes, length } = this.#writer;
    return length === body.length && body.every((byte, index) => byte === bytes[index]);
  }
}
