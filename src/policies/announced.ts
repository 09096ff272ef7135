import type { ConnectionView } from "../engine/index.ts";
import { ENDPOINT_FLAG, type Endpoint } from "../types/index.ts";

const { implicit, signal } = ENDPOINT_FLAG;

/**
 * A server's clients can cover only what they know: every address, whatever it is for where this host is the client. But where an interface has an
 * endpoint that is made to be announced (a NAT in front of it), that is what clients are to know of it.
 */
export function announced({ endpoints }: ConnectionView): readonly Endpoint[] {
  const outside = new Set(endpoints.flatMap(({ flags, interfaceIndex }) => (flags & signal ? [interfaceIndex] : [])));
  return endpoints.filter(({ flags, interfaceIndex }) => {
    const isHidden = !(flags & signal) && interfaceIndex !== 0 && outside.has(interfaceIndex);
    return !(flags & implicit) && !isHidden;
  });
}
