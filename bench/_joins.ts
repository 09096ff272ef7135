import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Host } from "../src/lab/index.ts";
import { end } from "./_world.ts";

/** RFC 8684 §3.1 and §3.2: subtypes of TCP option 30. */
const MPTCP_OPTION = 30;
const MP_CAPABLE = 0;
const MP_JOIN = 1;
/** linux/if_packet.h, RFC 9293 §3.1. */
const PACKET_OUTGOING = 4;
const SYN = 2;
const ACK = 16;

/** Milliseconds: what is left in its ring tcpdump reads once a second. */
const FLUSH = 3000;

/** tcpdump at a host, for the times of its MPTCP SYNs and of what came in. */
export class Joins implements AsyncDisposable {
  readonly #sniffer: ChildProcess;
  readonly #file: string;

  private constructor(sniffer: ChildProcess, file: string) {
    this.#sniffer = sniffer;
    this.#file = file;
  }

  /** @param hears also what comes in, for {@link Delay.own} */
  static async start(host: Host, file: string, hears = false): Promise<Joins> {
    const filter = hears ? ["tcp"] : ["-Q", "out", "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"];
    const words = ["-i", "any", "-y", "LINUX_SLL", "-s", "200", "-U", "-n", "-w", file, "-Z", "root"];
    const sniffer = host.spawn(["tcpdump", "--time-stamp-precision=nano", ...words, ...filter], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    await new Promise<void>((resolve) => {
      sniffer.stderr?.on("data", (bytes: Buffer) => String(bytes).includes("listening") && resolve());
    });
    return new Joins(sniffer, file);
  }

  /** MP_CAPABLE SYN → the next MP_JOIN SYN, of all connections so far; they must come one after the other. Microseconds. */
  async delays(): Promise<number[]> {
    return (await this.measured()).map(({ all }) => all);
  }

  /** The same, with what of it is the path manager's own. */
  async measured(): Promise<readonly Delay[]> {
    await new Promise((resolve) => setTimeout(resolve, FLUSH));
    return delays(readFileSync(this.#file));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#sniffer);
  }
}

/** Microseconds. */
export interface Delay {
  readonly all: number;
  /** The last packet that came in → the MP_JOIN SYN: without what both ends of the connection wait for. */
  readonly own: number;
}

function delays(pcap: Buffer): Delay[] {
  const found: Delay[] = [];
  let began: number | undefined;
  let heard = 0;
  for (const { time, subtype } of packets(pcap)) {
    if (subtype === undefined) heard = time;
    if (subtype === MP_CAPABLE) began = time;
    if (subtype === MP_JOIN && began !== undefined) {
      found.push({ all: time - began, own: time - heard });
      began = undefined;
    }
  }
  return found;
}

/** What came in, and the MPTCP SYNs that went out, of a capture with nanoseconds, in its order: pcap-savefile(5), LINUX_SLL, IPv4. */
function* packets(pcap: Buffer): Generator<{ time: number; subtype: number | undefined }> {
  for (let at = 24; at + 16 <= pcap.length; ) {
    const time = pcap.readUInt32LE(at) * 1e6 + pcap.readUInt32LE(at + 4) / 1e3;
    const length = pcap.readUInt32LE(at + 8);
    const isOut = pcap.readUInt16BE(at + 16) === PACKET_OUTGOING;
    const tcp = at + 32 + (pcap.readUInt8(at + 32) & 15) * 4;
    const isSyn = (pcap.readUInt8(tcp + 13) & (SYN | ACK)) === SYN;
    if (!isOut) yield { time, subtype: undefined };
    else if (isSyn) for (const subtype of subtypes(pcap, tcp)) yield { time, subtype };
    at += 16 + length;
  }
}

/** Of the MPTCP options of a TCP header. */
function* subtypes(pcap: Buffer, tcp: number): Generator<number> {
  const last = tcp + (pcap.readUInt8(tcp + 12) >> 4) * 4;
  for (let option = tcp + 20; option < last; ) {
    const kind = pcap.readUInt8(option);
    if (kind === MPTCP_OPTION) yield pcap.readUInt8(option + 2) >> 4;
    option += kind <= 1 ? 1 : pcap.readUInt8(option + 1);
  }
}
