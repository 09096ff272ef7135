/** One family of metrics, as both text formats need it. */
export interface Family {
  /** Without the `_total` of counters. */
  readonly name: string;
  readonly type: "gauge" | "counter" | "info" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
}

export interface Sample {
  /** Of a histogram: which of its parts. */
  readonly part?: "bucket" | "count" | "sum" | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly value: number;
}

/** OpenMetrics 1.0, or the text format 0.0.4 that was before it (and is the textfile collector's of node_exporter). */
export type Format = "openmetrics" | "text";

export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
  text: "text/plain; version=0.0.4; charset=utf-8",
};

/** Families without a sample are left out: whoever asks for one that is not there is told so by their query. */
export function exposition(families: readonly Family[], format: Format): string {
  const text = families.filter(({ samples }) => samples.length > 0).map((family) => familyText(family, format));
  return text.join("") + (format === "openmetrics" ? "# EOF\n" : "");
}

function familyText({ name, type, help, samples }: Family, format: Format): string {
  const suffix = type === "counter" ? "_total" : type === "info" ? "_info" : "";
  const isOpen = format === "openmetrics";
  // Before OpenMetrics a family had the name of its samples, and an info was a gauge of 1.
  const [family, kind] = isOpen ? [name, type] : [name + suffix, type === "info" ? "gauge" : type];
  const lines = samples.map(
    ({ part, labels, value }) => `${name}${part === undefined ? suffix : `_${part}`}${labelText(labels)} ${value}`,
  );
  return [`# TYPE ${family} ${kind}`, `# HELP ${family} ${escaped(help)}`, ...lines, ""].join("\n");
}

function labelText(labels: Sample["labels"]): string {
  const pairs = Object.entries(labels ?? {}).map(
    ([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`,
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
