import { ERRNO, errnoName, errnoText, SubflowError } from "../types/index.ts";

/** What a {@link NetlinkError} knows of the refusal. */
export interface NetlinkRefusal {
  /** Positive. */
  readonly errno: number;
  /** The kernel's own text (extended ACK). */
  readonly kernelMessage?: string | undefined;
  /** Name of the offending or missing attribute, "addr.id". */
  readonly attribute?: string | undefined;
}

function remedy(operation: string, errno: number): string {
  if (errno === ERRNO.EPERM) return "; it needs CAP_NET_ADMIN in the user namespace of this network namespace";
  if (errno === ERRNO.ETIMEDOUT)
    return "; the kernel did not answer in time, is another tool holding the netlink lock?";
  if (operation === "subscribe" && errno === ERRNO.EAGAIN)
    return "; a thread is needed for it, and no more are allowed: raise `ulimit -u`, or the service's TasksMax";
  return "";
}

/** The kernel refused an operation, or did not answer it. */
export class NetlinkError extends SubflowError {
  /** What was asked, in ip-mptcp's words: "endpoint add". */
  readonly operation: string;
  readonly errno: number;
  readonly kernelMessage: string | undefined;
  readonly attribute: string | undefined;

  constructor(operation: string, { errno, kernelMessage, attribute }: NetlinkRefusal) {
    const detail = kernelMessage ?? errnoText(errno);
    const where = attribute === undefined ? "" : ` (attribute ${attribute})`;
    super(`${operation}: ${errnoName(errno)}: ${detail}${where}${remedy(operation, errno)}`, { code: "NETLINK" });
    this.operation = operation;
    this.errno = errno;
    this.kernelMessage = kernelMessage;
    this.attribute = attribute;
  }
}

/** The kernel lacks something: a generic netlink family, a protocol. */
export class UnsupportedError extends SubflowError {
  constructor(message: string, cause?: unknown) {
    super(message, { code: "UNSUPPORTED", cause });
  }
}

/** A network namespace that cannot be entered, or in which no such socket can be had. */
export class NetnsError extends SubflowError {
  /** Positive; undefined where it was not the kernel's answer to a system call of ours. */
  readonly errno: number | undefined;

  constructor(message: string, { cause, errno }: { readonly cause?: unknown; readonly errno?: number } = {}) {
    super(message, { code: "NETNS", cause });
    this.errno = errno;
  }
}
