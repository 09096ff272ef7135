import { useState } from "preact/hooks";
import { Chart } from "./chart.tsx";
import type { Deed, Opened, SubflowRow } from "./picture.ts";
import { rateText, rttText, sizeText, timeText } from "./texts.ts";

interface Properties {
  readonly opened: Opened | null | undefined;
  readonly token: string;
  readonly mayControl: boolean;
}

/** One connection: its subflows, why there are no more, and what happened. */
export function ConnectionPage({ opened, token, mayControl }: Properties) {
  const [said, setSaid] = useState("");
  if (!opened) {
    const text = opened === null ? `Connection ${token} is over, or never was.` : "Looking…";
    return (
      <section class="connection">
        <Back />
        <p class="empty">{text}</p>
      </section>
    );
  }
  const { row, local, user, bytesSent, bytesReceived, subflows, why, timeline } = opened;
  const most = {
    rate: Math.max(1, ...subflows.flatMap(({ rates }) => rates)),
    rtt: Math.max(0, ...subflows.flatMap(({ rtts }) => rtts)),
  };
  const act = (subflow: SubflowRow, type: Deed["type"]): void => {
    if (type === "close" && !confirm(`Close the subflow ${subflow.local} → ${subflow.remote}?`)) return;
    perform({ type, token, key: subflow.key }).then(setSaid, (error: Error) => setSaid(error.message));
  };
  return (
    <section class="connection" aria-labelledby="connection">
      <Back />
      <h2 id="connection">
        {local} {row.side === "server" ? "←" : "→"} {row.remote}
      </h2>
      <p>
        token {row.token}, {row.side || "side not known"}
        {row.policy && `, policy ${row.policy}`}
        {user && `, of ${user}`}; sent {sizeText(bytesSent)}, received {sizeText(bytesReceived)}
      </p>
      {row.trouble && <p class="trouble">{row.trouble}</p>}
      <h3>Subflows</h3>
      <ul class="subflows">
        {subflows.map((subflow) => (
          <Subflow
            key={subflow.key}
            subflow={subflow}
            most={most}
            act={mayControl ? act : undefined}
            isLast={subflows.length === 1}
          />
        ))}
      </ul>
      <p role="status">{said}</p>
      <h3>Why not more</h3>
      <Why why={why} />
      <h3>What happened</h3>
      {timeline.length === 0 && <p class="empty">Nothing since this page's server began to look.</p>}
      <ol class="timeline">
        {timeline.map(({ ago, kind, text }, index) => (
          <li key={timeline.length - index} class={kind}>
            <time>{timeText(ago)} ago</time> {kind === "decision" && <strong>Subflow:</strong>} {text}
          </li>
        ))}
      </ol>
    </section>
  );
}

function Back() {
  return (
    <p>
      <a href="#all">← all connections</a>
    </p>
  );
}

interface SubflowProperties {
  readonly subflow: SubflowRow;
  /** Of all subflows, so that one can be compared with another: bytes a second, and milliseconds. */
  readonly most: { readonly rate: number; readonly rtt: number };
  readonly act: ((subflow: SubflowRow, type: Deed["type"]) => void) | undefined;
  readonly isLast: boolean;
}

function Subflow({ subflow, most, act, isLast }: SubflowProperties) {
  const { local, remote, state, words, isBackup, sendRate, receiveRate, retransmits, rates, rtts } = subflow;
  return (
    <li class={state}>
      <span class="name">
        <strong>{subflow.interface || "?"}</strong> {local} → {remote}
      </span>
      <span class="rate">
        ↑ {rateText(sendRate)} <br />↓ {rateText(receiveRate)}
      </span>
      <span>
        {words}
        {retransmits > 0 && `, ${retransmits} sent again`}
      </span>
      {act && (
        <span class="deeds">
          <button type="button" onClick={() => act(subflow, isBackup ? "nobackup" : "backup")}>
            {isBackup ? "no backup" : "backup"}
          </button>
          <button type="button" disabled={isLast} onClick={() => act(subflow, "close")}>
            close
          </button>
        </span>
      )}
      <div class="charts">
        <Chart name="rate" values={rates} most={most.rate} text={rateText} />
        <Chart name="round-trip time" values={rtts} most={most.rtt} text={rttText} isMeasured />
      </div>
    </li>
  );
}

function Why({ why }: { why: Opened["why"] }) {
  if (why === undefined) return <p class="empty">Asking…</p>;
  if (typeof why === "string") return <p>{why}</p>;
  if (why.length === 0) return <p>Nothing is left out.</p>;
  return (
    <dl class="why">
      {why.map(({ what, reason }) => (
        <div key={what}>
          <dt>{what}</dt>
          <dd>{reason}</dd>
        </div>
      ))}
    </dl>
  );
}

async function perform(deed: Deed): Promise<string> {
  const response = await fetch("/do", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(deed),
  });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()).said;
}
