import { type HostLink, interfaceKind } from "../host/index.ts";
import { Rtnl } from "../netlink/index.ts";
import type { InterfaceAddress, Link, Route, Rule } from "../wire/index.ts";
import { sysfsFacts } from "./sysfs.ts";

const NOTHING = { deviceType: undefined, wireless: false };

/** What is known of a link beside what the kernel tells of it now. */
interface Known {
  readonly link?: HostLink | undefined;
  /** What another manager calls its connection. */
  readonly connection?: string | undefined;
}

/** Reads what a host is made of, in the one way for the daemon, the doctor and every command. */
export class HostReader implements Disposable {
  readonly #rtnl: Rtnl;
  readonly #isForeign: boolean;

  /** @param isForeign the sysfs that is mounted here shows the interfaces of another namespace */
  constructor(rtnl: Rtnl, { isForeign = false }: { readonly isForeign?: boolean } = {}) {
    this.#rtnl = rtnl;
    this.#isForeign = isForeign;
  }

  /** @param netns a name of /run/netns or a path; our own namespace when absent @throws NetnsError */
  static open({
    netns,
    isForeign = netns !== undefined,
  }: {
    netns?: string | undefined;
    isForeign?: boolean;
  }): HostReader {
    return new HostReader(Rtnl.open({ netns }), { isForeign });
  }

  [Symbol.dispose](): void {
    this.#rtnl.close();
  }

  links(): HostLink[] {
    return this.#rtnl.links().map((link) => this.link(link));
  }

  /** A link that the kernel told of, with what only the rest of the host knows. Files are slow: what is known is not read again. */
  link(link: Link, { link: known, connection }: Known = {}): HostLink {
    const kind = known?.name === link.name && known.master === link.master ? known.interfaceKind : undefined;
    const facts = (): Parameters<typeof interfaceKind>[1] => (this.#isForeign ? NOTHING : sysfsFacts(link));
    return { ...link, interfaceKind: kind ?? interfaceKind(link, facts()), connection };
  }

  addresses(): InterfaceAddress[] {
    return this.#rtnl.addresses();
  }

  rules(): Rule[] {
    return this.#rtnl.rules();
  }

  /** All of them, of every table: a daemon, which follows them for long, reads by `RouteReader`. */
  routes(): Route[] {
    return this.#rtnl.routes();
  }
}
