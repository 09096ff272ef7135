import { type Address, addressBytes, type Prefix } from "../../types/index.ts";

/** 4 or 16 bytes as words of 32 bits. */
type Words = readonly number[];

function wordsOf(bytes: readonly number[]): Words {
  const words: number[] = [];
  for (let at = 0; at < bytes.length; at += 4)
    words.push(
      (((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0) as number,
    );
  return words;
}

/** The first `length` bits, as a map key. */
function keyOf(words: Words, length: number): number | string {
  if (words.length === 1) return masked(words[0]!, length);
  let key = "";
  for (let index = 0; index < words.length && index * 32 < length; index++)
    key += `${masked(words[index]!, length - index * 32)}.`;
  return key;
}

function masked(word: number, bits: number): number {
  if (bits >= 32) return word;
  return bits <= 0 ? 0 : (word & (-1 << (32 - bits))) >>> 0;
}

/** Lists by network: one look for each length of prefix that there is, however many networks there are. */
export class PrefixIndex {
  readonly #v4 = new Map<number, Map<number | string, number[]>>();
  readonly #v6 = new Map<number, Map<number | string, number[]>>();

  #of(byteCount: number): Map<number, Map<number | string, number[]>> {
    return byteCount === 4 ? this.#v4 : this.#v6;
  }

  add({ bytes, length }: Prefix, value: number): void {
    const lengths = this.#of(bytes.length);
    const networks = lengths.get(length) ?? new Map<number | string, number[]>();
    lengths.set(length, networks);
    const key = keyOf(wordsOf(bytes), length);
    const list = networks.get(key);
    if (list) list.push(value);
    else networks.set(key, [value]);
  }

  get isEmpty(): boolean {
    return this.#v4.size + this.#v6.size === 0;
  }

  /** Calls with the list of each network that the address is in. */
  each(address: Address, call: (list: readonly number[]) => void): void {
    const bytes = addressBytes(address);
    if (!bytes) return;
    const words = wordsOf(bytes);
    for (const [length, networks] of this.#of(bytes.length)) {
      const list = networks.get(keyOf(words, length));
      if (list) call(list);
    }
  }
}
