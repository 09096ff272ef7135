import { type NetlinkSubscription, PreparedAnswers, type Request } from "../../netlink/index.ts";

import { type InterfaceAddress, removedAddressPattern } from "../../wire/index.ts";

/** As many as the addon has slots for; others are served when JavaScript hears of their end. */
const ADDRESSES_MAX = 80;

/**
 * Endpoints that go before JavaScript hears that their address went: the host plan is pure, so what the end of an address leads to is
 * known beforehand. The manager hears of it afterwards, comes to the same, and finds it done.
 */
export class LossAnswers implements Disposable {
  readonly #answers: PreparedAnswers;
  readonly #removal: (which: { readonly id: number }) => Request;

  constructor(subscription: NetlinkSubscription, removal: (which: { readonly id: number }) => Request) {
    this.#answers = new PreparedAnswers(subscription);
    this.#removal = removal;
  }

  [Symbol.dispose](): void {
    this.#answers[Symbol.dispose]();
  }

  /** @param deletedWithout ids of the endpoints that the plan deletes when this address is gone */
  renew(
    addresses: readonly InterfaceAddress[],
    deletedWithout: (address: InterfaceAddress) => readonly number[],
  ): void {
    this.#answers.forget();
    let slot = 0;
    for (const address of addresses) {
      if (address.peer !== undefined || slot === ADDRESSES_MAX) continue;
      const requests = deletedWithout(address).map((id) => this.#removal({ id }));
      if (requests.length === 0) continue;
      this.#answers.prepareFixed(slot++, removedAddressPattern(address.address, address.interfaceIndex), requests);
    }
  }

  withdraw(): void {
    this.#answers.withdraw();
  }
}
