import { useState } from "preact/hooks";
import type { DaemonPicture, Finding } from "./picture.ts";
import { sizeText, timeText } from "./texts.ts";

/** What the daemon knows of the host, and what the doctor finds when it is asked. */
export function HostPage({ daemon }: { daemon: DaemonPicture | undefined }) {
  return (
    <>
      {daemon && <Daemon daemon={daemon} />}
      <Doctor />
    </>
  );
}

function Daemon({ daemon }: { daemon: DaemonPicture }) {
  const { version, uptime, overruns, recoveries, silent, quarantines, quotas, troubles, endpoints, limits, rules } =
    daemon;
  return (
    <section aria-labelledby="host">
      <h2 id="host">This host</h2>
      <p>
        Subflow {version}, running for {timeText(uptime)}
        {limits && `; at most ${limits.subflows} more subflows, ${limits.addAddrAccepted} announced addresses accepted`}
        {overruns > 0 && `; ${overruns} overruns`}
      </p>
      {recoveries && (
        <p>
          {recoveries.count} subflows were lost and are there again
          {recoveries.count > 0 && ` (median ${timeText(recoveries.median)}, longest ${timeText(recoveries.longest)})`};{" "}
          {silent ?? 0} paths went silent, {quarantines ?? 0} lost too much.
        </p>
      )}
      {troubles.map((text) => (
        <p key={text} class="trouble">
          {text}
        </p>
      ))}
      {endpoints.length > 0 && (
        <table>
          <caption>Endpoints</caption>
          <thead>
            <tr>
              <th scope="col">id</th>
              <th scope="col">address</th>
              <th scope="col">interface</th>
              <th scope="col">flags</th>
            </tr>
          </thead>
          <tbody>
            {endpoints.map((endpoint) => (
              <tr key={endpoint.id}>
                <td>{endpoint.id}</td>
                <td>{endpoint.address}</td>
                <td>{endpoint.interface}</td>
                <td>{endpoint.flags}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {rules && rules.shown.length > 0 && <Rules rules={rules} />}
      {quotas.map(({ interface: name, used, limit, stage }) => (
        <p key={name}>
          <label>
            {name}: {sizeText(used)} of {sizeText(limit)}, {stage} <progress value={used} max={limit} />
          </label>
        </p>
      ))}
    </section>
  );
}

/** Which connections are treated otherwise, the first rule that matches first. */
function Rules({ rules: { shown, more } }: { rules: NonNullable<DaemonPicture["rules"]> }) {
  return (
    <>
      <table class="rules">
        <caption>Rules</caption>
        <thead>
          <tr>
            <th scope="col">rule</th>
            <th scope="col">is for</th>
            <th scope="col">says</th>
            <th scope="col">connections</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(({ name, match, treatment, isNow, connections }) => (
            <tr key={name} class={isNow ? undefined : "resting"}>
              <td>{name}</td>
              <td>
                {match}
                {!isNow && " (not now)"}
              </td>
              <td>{treatment}</td>
              <td>{connections}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {more > 0 && <p>and {more} more rules</p>}
    </>
  );
}

function Doctor() {
  const [findings, setFindings] = useState<readonly Finding[] | string>();
  const ask = (): void => {
    setFindings("Looking…");
    fetch("/findings").then(
      async (response) => setFindings(response.ok ? await response.json() : await response.text()),
      () => setFindings("The server does not answer."),
    );
  };
  const wrong = typeof findings === "object" ? findings.filter(({ level }) => level !== "ok") : [];
  return (
    <section aria-labelledby="doctor">
      <h2 id="doctor">Doctor</h2>
      <p>
        <button type="button" onClick={ask}>
          Look for what is wrong with this host
        </button>
      </p>
      <div role="status">
        {typeof findings === "string" && <p>{findings}</p>}
        {typeof findings === "object" && wrong.length === 0 && <p>Nothing is wrong.</p>}
        {wrong.map(({ id, level, seen, why, fix }) => (
          <article key={id} class={level}>
            <h3>
              {level}: {seen}
            </h3>
            <p>{why}</p>
            {fix.length > 0 && <pre>{fix.join("\n")}</pre>}
          </article>
        ))}
      </div>
    </section>
  );
}
