/** How parts that know nothing of the log say something to the operator. */
export type LogLine = (level: "info" | "warn" | "error", message: string) => void;
