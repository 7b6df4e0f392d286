/** What a process tells the first one. */
export type MemberMessage =
  | { readonly kind: "ready"; readonly port: number }
  | { readonly kind: "metrics-question" };

/** What the first process answers. */
export interface MetricsAnswer {
  readonly kind: "metrics-answer";
  readonly text?: string;
  readonly error?: string;
}

export function isMemberMessage(message: unknown): message is MemberMessage {
  return hasKind(message, "ready") || hasKind(message, "metrics-question");
}

export function isMetricsAnswer(message: unknown): message is MetricsAnswer {
  return hasKind(message, "metrics-answer");
}

/** Libraries send messages of their own over the same channel. */
function hasKind(message: unknown, kind: string): boolean {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    message.kind === kind
  );
}
