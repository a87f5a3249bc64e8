/** The report that an analysis' page holds, as far as tests look at it. */
export interface PageReport {
  policy: string;
  files: { path: string; packets: number; detections: number; problems: string[] }[];
  hosts: { address: string; detections: number }[];
  flows: number[][];
  addresses: string[];
  detections: {
    file: number;
    packet: number;
    timeMs: number;
    transport: string;
    source: string;
    sourcePort: number;
    destination: string;
    destinationPort: number;
    method: string;
    strength: string;
    reason: string;
    client: string | null;
    payload: string;
    fields: [start: number, end: number, name: string, isDecisive: 0 | 1, value?: string][];
  }[];
  leftOut: { flows: number; detections: number; hosts: number; hostEnds: number };
}

/** Reads it as a browser does: the text up to the next end of a script. */
export function reportOf(page: string): PageReport {
  const [, json] = /<script id="report" type="application\/json">([^]*?)<\/script>/.exec(page)!;
  return JSON.parse(json);
}
