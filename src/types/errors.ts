/** Options every {@link SubflowError} takes: a stable machine-readable code, and what caused it. */
export interface SubflowErrorOptions {
  /** Stable, SCREAMING_SNAKE, listed in docs/errors.md. */
  readonly code: string;
  readonly cause?: unknown;
}

/**
 * Base of every operating error: something the outside world did, that the caller may handle.
 * The message ends with the remedy. A broken invariant of our own is an {@link assert}, not one of these.
 */
export class SubflowError extends Error {
  readonly code: string;
  constructor(message: string, options: SubflowErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = options.code;
  }
}

/** A broken invariant: our own fault, never the user's. */
export class AssertionError extends Error {
  override readonly name: string = "AssertionError";
}

/** States an invariant in words; throws {@link AssertionError} when it does not hold. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(`broken invariant: ${invariant}; please report this`);
}

/** Ends an exhaustive switch: compiling proves that no case is left. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}
