import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Host } from "../src/lab/index.ts";
import { end } from "./_world.ts";

/** RFC 8684 §3.1 and §3.2: subtypes of TCP option 30. */
const MPTCP_OPTION = 30;
const MP_CAPABLE = 0;
const MP_JOIN = 1;

/** Milliseconds: what is left in its ring tcpdump reads once a second. */
const FLUSH = 3000;

/** tcpdump at a host, for the times of its MPTCP SYNs. */
export class Joins implements AsyncDisposable {
  readonly #sniffer: ChildProcess;
  readonly #file: string;

  private constructor(sniffer: ChildProcess, file: string) {
    this.#sniffer = sniffer;
    this.#file = file;
  }

  static async start(host: Host, file: string): Promise<Joins> {
    const syn = "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn";
    const words = ["-i", "any", "-Q", "out", "-y", "LINUX_SLL", "-s", "200", "-U", "-n", "-w", file, "-Z", "root"];
    const sniffer = host.spawn(["tcpdump", "--time-stamp-precision=nano", ...words, syn], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    await new Promise<void>((resolve) => {
      sniffer.stderr?.on("data", (bytes: Buffer) => String(bytes).includes("listening") && resolve());
    });
    return new Joins(sniffer, file);
  }

  /** MP_CAPABLE SYN → the next MP_JOIN SYN, of all connections so far; they must come one after the other. Microseconds. */
  async delays(): Promise<number[]> {
    await new Promise((resolve) => setTimeout(resolve, FLUSH));
    return delays(readFileSync(this.#file));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#sniffer);
  }
}

function delays(pcap: Buffer): number[] {
  const result: number[] = [];
  let began: number | undefined;
  for (const { time, subtype } of syns(pcap)) {
    if (subtype === MP_CAPABLE) began = time;
    if (subtype === MP_JOIN && began !== undefined) {
      result.push(time - began);
      began = undefined;
    }
  }
  return result;
}

/** The MPTCP SYNs of a capture with nanoseconds, in its order: pcap-savefile(5), LINUX_SLL, IPv4. */
function* syns(pcap: Buffer): Generator<{ time: number; subtype: number }> {
  for (let at = 24; at + 16 <= pcap.length; ) {
    const time = pcap.readUInt32LE(at) * 1e6 + pcap.readUInt32LE(at + 4) / 1e3;
    const length = pcap.readUInt32LE(at + 8);
    const ip = at + 16 + 16;
    const tcp = ip + (pcap.readUInt8(ip) & 15) * 4;
    const options = tcp + 20;
    const last = tcp + (pcap.readUInt8(tcp + 12) >> 4) * 4;
    for (let option = options; option < last; ) {
      const kind = pcap.readUInt8(option);
      if (kind === MPTCP_OPTION) yield { time, subtype: pcap.readUInt8(option + 2) >> 4 };
      option += kind <= 1 ? 1 : pcap.readUInt8(option + 1);
    }
    at += 16 + length;
  }
}
