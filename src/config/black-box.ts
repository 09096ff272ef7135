import * as v from "valibot";
import { quantity } from "../engine/index.ts";

const DEFAULT = "16MB";
const MIN = 64_000;
const MAX = 10e9;

const size = (text: string): number | undefined => quantity("bytes", text);

/** `black_box: off|SIZE`. */
export const BLACK_BOX = v.optional(
  v.pipe(
    v.string(`off, or a size as "${DEFAULT}"`),
    v.check((text) => text === "off" || size(text) !== undefined, `off, or a size as "${DEFAULT}"`),
    v.check(
      (text) => text === "off" || size(text) === undefined || (size(text)! >= MIN && size(text)! <= MAX),
      "a black box has 64kB to 10GB",
    ),
    v.description("what the daemon was told and did, kept on disk in so many bytes at most: 16MB; or off"),
  ),
  DEFAULT,
);

/** Bytes of the ring; undefined: off. */
export function blackBoxSize({ black_box }: { readonly black_box: string }): number | undefined {
  return black_box === "off" ? undefined : size(black_box);
}
