import type { Socket } from "node:net";
import { CONTROL_VERSION, type ControlFailure, type ControlResponse } from "../types/index.ts";
import { parseJson } from "./json.ts";
import { LineBuffer } from "./lines.ts";
import type { Asker, ControlService } from "./service.ts";

/** A request is a short line: one beyond this is not ours. */
export const LINE_BYTES_MAX = 64 * 1024;
/** What one client may have of the daemon's time. */
export interface Allowance {
  /** Requests without an answer; its next ones wait unread in its socket. */
  readonly inFlight: number;
  /** Milliseconds from one request to the next. */
  readonly pause: number;
}

/** Of somebody who may end the daemon anyway. */
export const GENEROUS: Allowance = { inFlight: 16, pause: 0 };
/** Of anybody else: to watch, and to ask something meanwhile. 32 of them cost some hundred requests a second. */
export const SPARSE: Allowance = { inFlight: 2, pause: 50 };
/** Requests of one client in one turn: the kernel's events come in between. */
const TURN_MAX = 16;
/** Bytes of answers that wait for their reader, beyond which no more is read of it. One answer may be larger. */
const OUTPUT_MAX = 64 * 1024;
/** A long answer goes out in pieces, so that it can be seen whether it is read. */
const PIECE_BYTES = 64 * 1024;
/** Milliseconds in which a reader must take a piece. */
const READ_DEADLINE = 5000;

export interface ConversationOptions {
  readonly service: ControlService;
  readonly asker: Asker;
  readonly allowance: Allowance;
  /** Hears of errors of ours; the client is told already. */
  readonly onFault: (error: unknown) => void;
}

/** One client: its requests in, its answers out, in bounded memory and time. Nothing that it sends reaches further than its end. */
export class Conversation {
  readonly #socket: Socket;
  readonly #service: ControlService;
  readonly #asker: Asker;
  readonly #allowance: Allowance;
  readonly #onFault: (error: unknown) => void;
  readonly #lines = new LineBuffer();
  readonly #output: Buffer[] = [];
  #waitingBytes = 0;
  #isWriting = false;
  #isEnding = false;
  /** Nothing more comes; what came is answered still. */
  #hasAsked = false;
  #inFlight = 0;
  #stuck: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;
  #pause: NodeJS.Timeout | undefined;
  #quietSince = performance.now();

  constructor(socket: Socket, { service, asker, allowance, onFault }: ConversationOptions) {
    this.#socket = socket;
    this.#service = service;
    this.#asker = asker;
    this.#allowance = allowance;
    this.#onFault = onFault;
    socket.on("close", () => this.#stop());
    socket.on("data", (chunk: Buffer) => {
      this.#lines.append(chunk);
      this.#work();
    });
    socket.on("end", () => {
      this.#hasAsked = true;
      this.#work();
    });
  }

  /** Milliseconds since it asked or was answered last; 0 while something is under way. */
  get idleFor(): number {
    return this.#inFlight > 0 || this.#waitingBytes > 0 ? 0 : performance.now() - this.#quietSince;
  }

  /** Says why, and ends. */
  end(failure: ControlFailure): void {
    this.#isEnding = true;
    this.#respond(0, null, failure);
  }

  #stop(): void {
    clearTimeout(this.#stuck);
    clearImmediate(this.#turn);
    clearTimeout(this.#pause);
    this.#isEnding = true;
    this.#output.length = 0;
  }

  /** What has come, as far as there is room for answers. */
  #work(): void {
    if (this.#isEnding || this.#pause !== undefined) return;
    const { inFlight, pause } = this.#allowance;
    for (let left = TURN_MAX; left > 0; left--) {
      if (this.#inFlight >= inFlight || this.#waitingBytes > OUTPUT_MAX) return void this.#socket.pause();
      const line = this.#lines.next();
      if (line === undefined) return this.#onNoLine();
      if (line.length > LINE_BYTES_MAX) return this.end(TOO_LONG);
      this.#onLine(line);
      if (this.#isEnding) return;
      if (pause > 0) return this.#rest(pause);
    }
    this.#socket.pause();
    this.#turn = setImmediate(() => this.#work());
  }

  #rest(pause: number): void {
    this.#socket.pause();
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      this.#work();
    }, pause).unref();
  }

  #onNoLine(): void {
    if (this.#lines.length > LINE_BYTES_MAX) return this.end(TOO_LONG);
    if (!this.#hasAsked) return void this.#socket.resume();
    if (this.#inFlight > 0) return;
    this.#isEnding = true;
    this.#write();
  }

  #onLine(line: Buffer): void {
    this.#quietSince = performance.now();
    const parsed = parseJson(line);
    if ("problem" in parsed) {
      if (line.toString("latin1").trim() === "") return;
      const { problem, offset } = parsed;
      return this.#respond(0, null, { code: "REQUEST", offset, message: `${problem}, at byte ${offset} of the line` });
    }
    const request = envelopeOf(parsed.value);
    if ("failure" in request) return this.#respond(request.id, null, request.failure);
    this.#call(request);
  }

  #call({ id, method, params }: Envelope): void {
    let isOpen = true;
    this.#inFlight++;
    const answer = (result: unknown, failure?: ControlFailure): void => {
      if (!isOpen) return;
      isOpen = false;
      const wasFull = this.#inFlight-- >= this.#allowance.inFlight;
      this.#respond(id, result, failure);
      if (wasFull || this.#hasAsked) this.#turn = setImmediate(() => this.#work());
    };
    try {
      this.#service.call(method, params, answer, this.#asker);
    } catch (error) {
      this.#onFault(error);
      answer(null, { code: "INTERNAL", message: messageOf(error) });
    }
  }

  #respond(id: number, result: unknown, failure?: ControlFailure): void {
    if (!this.#socket.writable) return;
    const bytes = this.#encode(id, result, failure);
    this.#quietSince = performance.now();
    this.#output.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#write();
  }

  #encode(id: number, result: unknown, failure?: ControlFailure): Buffer {
    try {
      return encode(failure ? { v: CONTROL_VERSION, id, error: failure } : { v: CONTROL_VERSION, id, result });
    } catch (error) {
      this.#onFault(error);
      const message = `the answer cannot be written: ${messageOf(error)}`;
      return encode({ v: CONTROL_VERSION, id, error: { code: "INTERNAL", message } });
    }
  }

  #write(): void {
    if (this.#isWriting) return;
    const [first] = this.#output;
    if (first === undefined) {
      clearTimeout(this.#stuck);
      this.#stuck = undefined;
      if (this.#isEnding) finish(this.#socket);
      return;
    }
    const piece = first.subarray(0, PIECE_BYTES);
    if (piece.length === first.length) this.#output.shift();
    else this.#output[0] = first.subarray(PIECE_BYTES);
    this.#isWriting = true;
    this.#stuck?.refresh();
    this.#stuck ??= setTimeout(() => this.#socket.destroy(), READ_DEADLINE).unref();
    this.#socket.write(piece, (error) => {
      if (!error) this.#onWritten(piece.length);
    });
  }

  #onWritten(bytes: number): void {
    const wasFull = this.#waitingBytes > OUTPUT_MAX;
    this.#waitingBytes -= bytes;
    this.#isWriting = false;
    this.#write();
    if (wasFull && this.#waitingBytes <= OUTPUT_MAX) this.#work();
  }
}

/** Milliseconds that a client has for reading why it is sent away. */
const LINGER = 1000;

/** Sends a client away: what was written is read by it even if it has not done talking. */
export function finish(socket: Socket, failure?: ControlFailure): void {
  if (failure) socket.write(encode({ v: CONTROL_VERSION, id: 0, error: failure }));
  socket.end();
  // Unread bytes at close(2) would reset the connection, and with it our last words.
  socket.removeAllListeners("data");
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER).unref();
  socket.once("close", () => clearTimeout(timer));
}

const TOO_LONG: ControlFailure = {
  code: "REQUEST",
  offset: LINE_BYTES_MAX,
  message: `a request is at most ${LINE_BYTES_MAX} bytes`,
};

interface Envelope {
  readonly id: number;
  readonly method: string;
  readonly params: unknown;
}

function envelopeOf(value: unknown): Envelope | { readonly id: number; readonly failure: ControlFailure } {
  const refuse = (id: number, path: string | undefined, message: string) => ({
    id,
    failure: { code: "REQUEST", path, message } as const,
  });
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse(0, undefined, "a request is an object with v, id, method and params");
  }
  const { v, id: given, method, params = {} } = value as Partial<Record<string, unknown>>;
  const id = Number.isSafeInteger(given) ? (given as number) : 0;
  if (typeof v !== "number") return refuse(id, "v", `v is missing: this daemon speaks version ${CONTROL_VERSION}`);
  if (v !== CONTROL_VERSION) {
    const message = `this daemon speaks version ${CONTROL_VERSION} of the control protocol, not ${v}`;
    return { id, failure: { code: "VERSION", path: "v", message } };
  }
  if (given !== undefined && id !== given) return refuse(0, "id", "id is a whole number");
  if (typeof method !== "string") return refuse(id, "method", "method is missing, or no string");
  return { id, method, params };
}

function encode(response: ControlResponse): Buffer {
  return Buffer.from(`${JSON.stringify(response)}\n`);
}

/** Whatever was thrown, in words. */
function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : typeof error;
}
