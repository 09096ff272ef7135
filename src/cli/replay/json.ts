import type { ConnectionExplanation } from "../../engine/index.ts";
import type { HostPlan } from "../../host/index.ts";
import type { Compared } from "./compared.ts";
import type { SideBySide } from "./side-by-side.ts";

/** What `-j replay` prints. */
export function replayJson(
  file: string,
  size: number,
  { lives, player, differences, damages, story, untold }: Compared,
  side: SideBySide | undefined,
  wantsStory: boolean,
): object {
  const { events, facts, actions, hostActions, unsure, lost } = player.played;
  const sure = player.played.differences - unsure;
  return {
    file,
    size,
    isSame: sure === 0,
    lives: lives.map(({ from, to, ...life }) => ({ ...life, from: iso(from), to: iso(to) })),
    played: { events, facts, actions, hostActions, differences: sure, unsure, lost },
    differences: differences.map(({ time, ...difference }) => ({ time: iso(time), ...difference })),
    damages: damages.map(({ at, reason }) => ({ at, reason })),
    ...(wantsStory && {
      story: story.map(({ time, token, kind, type, words }) => ({ time: iso(time), token, kind, type, words })),
      untold,
    }),
    ...(side && {
      otherwise: {
        rows: side.rows.map(({ time, ...row }) => ({ time: iso(time), ...row })),
        more: side.more,
        counts: Object.entries(side.counts).map(([type, count]) => ({ type, ...count })),
      },
    }),
  };
}

/** What `-j replay --at` adds. */
export function momentJson({
  plan,
  connections,
  more,
}: {
  readonly plan: HostPlan | undefined;
  readonly connections: readonly ConnectionExplanation[];
  readonly more: number;
}): object {
  return {
    endpoints: plan?.endpoints.map(({ address, flags, because }) => ({ address, flags, because })),
    connections,
    more,
  };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
