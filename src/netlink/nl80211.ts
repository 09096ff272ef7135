import {
  decodeFamily,
  decodeStationSignal,
  decodeWifiInterface,
  encodeGetFamilies,
  encodeGetStations,
  encodeGetWifiInterfaces,
  GENL_ID_CTRL,
  NL80211,
  WIFI_TYPE,
  type WifiInterface,
} from "../wire/index.ts";
import { type ClientOptions, NETLINK, NetlinkClient } from "./client.ts";

/**
 * In these an interface is connected to one other station, or may be: of an access point's many stations none is the path. What has more than
 * one neighbour in an ad-hoc network or a mesh is not known either.
 */
const ONE_PEER: ReadonlySet<number> = new Set(Object.values(WIFI_TYPE));

/** How well the Wi-Fi interfaces of one network namespace receive what they are connected to. Needs no privilege. */
export class Nl80211 implements Disposable {
  readonly #client: NetlinkClient;
  readonly #family: number;

  private constructor(client: NetlinkClient, family: number) {
    this.#client = client;
    this.#family = family;
  }

  /**
   * @returns undefined: this kernel has no cfg80211, or not yet
   * @throws NetlinkError, NetnsError
   */
  static open(options: ClientOptions = {}): Nl80211 | undefined {
    const client = new NetlinkClient(NETLINK.GENERIC, options);
    try {
      // To ask for it by name would make the kernel load cfg80211 where nobody needs it.
      const request = { operation: "find nl80211", type: GENL_ID_CTRL, write: encodeGetFamilies };
      const family = client.dump(request, decodeFamily).find(({ name }) => name === NL80211.name);
      if (family) return new Nl80211(client, family.id);
    } catch (error) {
      client.close();
      throw error;
    }
    client.close();
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  /** Those that are connected to one other station, or may be. @throws NetlinkError */
  interfaces(): readonly WifiInterface[] {
    const request = { operation: "list Wi-Fi interfaces", type: this.#family, write: encodeGetWifiInterfaces };
    const found = this.#client.dump(request, decodeWifiInterface);
    return found.filter((each) => each !== undefined).filter(({ type }) => ONE_PEER.has(type));
  }

  /**
   * How strong the station is received that an interface is connected to, in dBm; undefined: it is connected to none, or the driver does not tell.
   * @throws NetlinkError
   */
  signalOf({ index }: Pick<WifiInterface, "index">): number | undefined {
    const stations = this.#client.dump(
      {
        operation: "read Wi-Fi signal",
        type: this.#family,
        write: (writer) => encodeGetStations(writer, index),
      },
      decodeStationSignal,
    );
    return stations.length === 1 ? stations[0] : undefined;
  }
}
