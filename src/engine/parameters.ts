import type { Dbm, Millis } from "../types/index.ts";

interface Described {
  /** One line, for people. */
  readonly about: string;
}

interface Numeric extends Described {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

/** What of a policy can be set: its kind, default, bounds and meaning. */
export type Parameter =
  /** Milliseconds; written "300ms", "1.5s", "2min", "1h". */
  | (Numeric & { readonly type: "duration" })
  /** A whole number. */
  | (Numeric & { readonly type: "count" })
  /** 0 to 1; written "15%" or 0.15. */
  | (Numeric & { readonly type: "share" })
  /** Bytes; written "64kB", "1.5MB", "5GB", or a number. */
  | (Numeric & { readonly type: "bytes" })
  /** Bytes a second; written "10Mbit/s", "500kbit/s", "2MB/s". */
  | (Numeric & { readonly type: "rate" })
  /** dBm, below 0; written "-80dBm", or "off", which is 0 and always possible. */
  | (Numeric & { readonly type: "signal" })
  | (Described & { readonly type: "choice"; readonly values: readonly [string, ...string[]]; readonly default: string })
  | (Described & { readonly type: "switch"; readonly default: boolean });

/** By name. */
export type Parameters = Readonly<Record<string, Parameter>>;

/** What a parameter can be: a number in its unit (ms, bytes, bytes a second, dBm, 0 to 1), a word, or yes and no. */
export type ParameterValue = number | string | boolean;

/** The values that a policy is asked with: each parameter has one. */
export type Values<P extends Parameters = Parameters> = {
  readonly [N in keyof P]: P[N] extends { readonly type: "switch" }
    ? boolean
    : P[N] extends { readonly type: "choice"; readonly values: readonly (infer C)[] }
      ? C
      : P[N] extends Numeric
        ? number
        : ParameterValue;
};

/** Some of the values, by name, as somebody gave them: checked. */
export type GivenValues = Readonly<Record<string, ParameterValue>>;

/** A value that somebody wrote, or what is wrong with it. */
export type ParsedValue = { readonly value: ParameterValue } | { readonly fault: string };

const UNITS = {
  duration: { ms: 1, s: 1000, min: 60_000, h: 3_600_000 },
  bytes: { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 },
  rate: { "bit/s": 0.125, "kbit/s": 125, "Mbit/s": 125e3, "Gbit/s": 125e6, "B/s": 1, "kB/s": 1e3, "MB/s": 1e6 },
  share: { "%": 0.01 },
  signal: { dBm: 1 },
  count: {},
} as const satisfies Record<NumericType, Readonly<Record<string, number>>>;

type NumericType = Extract<Parameter, Numeric>["type"];

/** Without a unit a number is none of a thing that has one; shares and counts are numbers. */
const BARE: ReadonlySet<NumericType> = new Set(["count", "share", "bytes"]);

const EXAMPLES = {
  duration: 'a time as "300ms", "5s", "2min", "1h"',
  bytes: 'an amount as "64kB", "5GB"',
  rate: 'a rate as "10Mbit/s", "2MB/s"',
  share: 'a share as "15%" or 0.15',
  signal: 'a signal strength as "-80dBm", or "off"',
  count: "a whole number",
} as const satisfies Record<NumericType, string>;

/** "300ms" for a duration → 300. @param given as it stands in YAML or on a command line */
export function parseValue(parameter: Parameter, given: unknown): ParsedValue {
  switch (parameter.type) {
    case "switch":
      return parseSwitch(given);
    case "choice":
      return parameter.values.includes(String(given))
        ? { value: String(given) }
        : { fault: `${quote(given)} is none of ${parameter.values.join(", ")}` };
    case "signal":
      // YAML of other versions reads `off` as false.
      if (given === "off" || given === false) return { value: 0 };
      return parseNumeric(parameter, given);
    default:
      return parseNumeric(parameter, given);
  }
}

function parseSwitch(given: unknown): ParsedValue {
  if (given === true || given === "true" || given === "yes" || given === "on") return { value: true };
  if (given === false || given === "false" || given === "no" || given === "off") return { value: false };
  return { fault: `${quote(given)} is neither true nor false` };
}

function parseNumeric(parameter: Extract<Parameter, Numeric>, given: unknown): ParsedValue {
  const { type, min, max } = parameter;
  const value = quantity(type, given);
  if (value === undefined || (type === "count" && !Number.isInteger(value)))
    return { fault: `${quote(given)} is not ${EXAMPLES[type]}` };
  if (type === "signal" && value === 0) return { value };
  if (value < min) return { fault: `${quote(given)} is below ${formatValue(parameter, min)}` };
  if (value > max) return { fault: `${quote(given)} is above ${formatValue(parameter, max)}` };
  return { value };
}

/** "1.5MB" of bytes → 1500000; undefined: it is none. */
export function quantity(type: NumericType, given: unknown): number | undefined {
  const match = (type === "signal" ? SIGNED : UNSIGNED).exec(String(given).trim());
  if (!match) return undefined;
  const [, digits = "", unit = ""] = match;
  const factor = unit === "" ? (BARE.has(type) || Number(digits) === 0 ? 1 : undefined) : factorOf(type, unit);
  return factor === undefined ? undefined : Number((Number(digits) * factor).toPrecision(15));
}

const UNSIGNED = /^(\d+(?:\.\d+)?)\s*([A-Za-z%/]*)$/;
const SIGNED = /^(-?\d+(?:\.\d+)?)\s*([A-Za-z%/]*)$/;

function factorOf(type: NumericType, unit: string): number | undefined {
  const units: Readonly<Record<string, number>> = UNITS[type];
  return Object.hasOwn(units, unit) ? units[unit] : undefined;
}

function quote(given: unknown): string {
  return JSON.stringify(given)?.slice(0, 60) ?? String(given);
}

/** 300 as a duration → "300ms": the largest unit in which it is short. */
export function formatValue(parameter: Parameter, value: ParameterValue): string {
  if (typeof value !== "number" || parameter.type === "choice" || parameter.type === "switch") return String(value);
  if (parameter.type === "signal") return value === 0 ? "off" : `${value}dBm`;
  if (value === 0) return "0";
  const units = Object.entries(UNITS[parameter.type] as Readonly<Record<string, number>>);
  const fitting = units.filter(([, factor]) => value >= factor && isShort(value / factor));
  const [unit, factor] = fitting.toSorted(([, a], [, b]) => b - a)[0] ?? ["", 1];
  return `${Number((value / factor).toPrecision(6))}${unit}`;
}

function isShort(amount: number): boolean {
  return Math.abs(amount * 100 - Math.round(amount * 100)) < 1e-6;
}

/** Every parameter of a policy with its value: given, or the default. */
export function valuesOf(parameters: Parameters | undefined, given: GivenValues | undefined): Values {
  const values: Record<string, ParameterValue> = {};
  for (const [name, parameter] of Object.entries(parameters ?? {})) values[name] = given?.[name] ?? parameter.default;
  return Object.freeze(values);
}

/** A span of time as a parameter. */
export function duration(about: string, usual: Millis, [min, max]: readonly [Millis, Millis]) {
  return { type: "duration", about, default: usual, min, max } as const;
}

/** A whole number as a parameter. */
export function count(about: string, usual: number, [min, max]: readonly [number, number]) {
  return { type: "count", about, default: usual, min, max } as const;
}

/** A share, from 0 to 1, as a parameter. */
export function share(about: string, usual: number, [min, max]: readonly [number, number] = [0, 1]) {
  return { type: "share", about, default: usual, min, max } as const;
}

/** Bytes a second as a parameter. */
export function rate(about: string, usual: number, [min, max]: readonly [number, number]) {
  return { type: "rate", about, default: usual, min, max } as const;
}

/** The strength of a signal, in dBm, as a parameter; 0 is "off". */
export function signal(about: string, usual: Dbm, [min, max]: readonly [Dbm, Dbm]) {
  return { type: "signal", about, default: usual, min, max } as const;
}

/** One of a few words as a parameter; the first is the default. */
export function choice<const C extends string>(about: string, values: readonly [C, ...C[]]) {
  return { type: "choice", about, values, default: values[0] } as const;
}

/** Yes or no as a parameter. */
export function toggle(about: string, usual: boolean) {
  return { type: "switch", about, default: usual } as const;
}
