import { addressOf, cidr, far, type HostName, near, routerOf, type World } from "./_matrix-world.ts";

/** Something that is lost and returns: at a host's n-th address, or on the way there. */
interface Loss {
  strike(world: World, host: HostName, n: number): Promise<void>;
  mend(world: World, host: HostName, n: number): Promise<void>;
}

/** Each single loss, by its name; every one exists at either side. */
const KINDS = {
  /** `ip link set down` on the host. */
  "link-down": {
    strike: (world, host, n) => world.lab.link(near(host, n)).down(world.host(host)),
    mend: (world, host, n) => up(world, near(host, n)),
  },
  "address-gone": {
    strike: (world, host, n) =>
      world.host(host).ip([`address del ${cidr(addressOf(host, n, world.size.family))} dev ${near(host, n)}`]),
    mend: (world, host, n) => up(world, near(host, n)),
  },
  /** Packets disappear between router and core, both ways, and nobody says so. */
  "silent-drop": {
    strike: (world, host, n) => world.lab.link(far(host, n)).blackhole(true),
    mend: (world, host, n) => world.lab.link(far(host, n)).blackhole(false),
  },
  /** A link that neither host has: carriers stay, routers answer that there is no way. */
  "remote-link": {
    strike: async (world, host, n) => {
      const link = world.lab.link(far(host, n));
      await link.down(world.lab.host(routerOf(host, n)));
    },
    mend: (world, host, n) => up(world, far(host, n)),
  },
  /** The router dies: the host loses its carrier, the core its way. */
  "router-dead": {
    strike: async (world, host, n) => {
      const router = world.lab.host(routerOf(host, n));
      await router.ip([near(host, n), far(host, n)].map((name) => `link set dev ${name} down`));
    },
    mend: async (world, host, n) => {
      await up(world, far(host, n));
      await up(world, near(host, n));
    },
  },
} satisfies Record<string, Loss>;
export type LossKind = keyof typeof KINDS;
export const LOSS_KINDS = Object.keys(KINDS) as LossKind[];

/** What is struck: "link-down client" is the first link of the client's, which the connection began on. */
export interface Target {
  readonly kind: LossKind;
  readonly host: HostName;
  readonly n: number;
}

export const strike = (world: World, { kind, host, n }: Target): Promise<void> =>
  (KINDS[kind] as Loss).strike(world, host, n);
export const mend = (world: World, { kind, host, n }: Target): Promise<void> =>
  (KINDS[kind] as Loss).mend(world, host, n);

async function up(world: World, link: string): Promise<void> {
  await world.lab.link(link).up();
  await world.restoreRoutes(link);
}
