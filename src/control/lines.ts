const NEWLINE = 0x0a;
const START_BYTES = 1024;

/** Cuts a stream of bytes into lines. Each byte is copied and looked at once, however it is torn. */
export class LineBuffer {
  #bytes = Buffer.allocUnsafe(START_BYTES);
  /** Of what is not taken yet. */
  #from = 0;
  #to = 0;
  /** No end of line before this. */
  #looked = 0;

  append(chunk: Uint8Array): void {
    if (this.#to + chunk.length > this.#bytes.length) this.#makeRoom(chunk.length);
    this.#bytes.set(chunk, this.#to);
    this.#to += chunk.length;
  }

  /** The next whole line, without its end: valid until the next {@link append}. */
  next(): Buffer | undefined {
    const end = this.#bytes.subarray(0, this.#to).indexOf(NEWLINE, this.#looked);
    if (end < 0) {
      this.#looked = this.#to;
      return undefined;
    }
    const line = this.#bytes.subarray(this.#from, end);
    this.#from = this.#looked = end + 1;
    return line;
  }

  /** Bytes that wait. */
  get length(): number {
    return this.#to - this.#from;
  }

  #makeRoom(wanted: number): void {
    const rest = this.#bytes.subarray(this.#from, this.#to);
    let size = START_BYTES;
    while (size < rest.length + wanted) size *= 2;
    const bytes = Buffer.allocUnsafe(size);
    bytes.set(rest);
    this.#bytes = bytes;
    this.#looked -= this.#from;
    this.#to = rest.length;
    this.#from = 0;
  }
}
