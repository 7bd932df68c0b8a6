/** What the Temporal UI shows of a write-back: names, states and codes, never a value (I5). */
export interface ReportedTarget {
  /** `salesforce.Contact`. */
  label: string;
  fields: readonly string[];
  state: string;
  code: string | null;
}

export function writeBackReport(change: string, targets: readonly ReportedTarget[], phase: string): string {
  const lines = [`**Change ${change}** · ${phase}`, ''];
  if (targets.length > 0) lines.push('| system | fields | state | why |', '|---|---|---|---|');
  for (const { label, fields, state, code } of targets) {
    lines.push(`| ${label} | ${fields.join(', ')} | ${state} | ${code ?? ''} |`);
  }
  return lines.join('\n');
}
