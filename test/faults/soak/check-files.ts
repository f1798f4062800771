/** I7: the result files of each batch, as a user downloads them, hold each line of its input once. */
import type { AcceptedBatch, Batches } from './batches.js';
import type { StubbornClient } from './client.js';
import type { Ledger, Violation } from './ledger.js';

export interface FileFigures {
  readonly batches: number;
  readonly outputLines: number;
  readonly errorLines: number;
}

export async function checkFiles(
  ledger: Ledger,
  batches: Batches,
  client: StubbornClient,
  giveUp: AbortSignal,
): Promise<{ figures: FileFigures; violations: Array<Violation | null> }> {
  const flaws: string[] = [];
  let [outputLines, errorLines] = [0, 0];
  for (const batch of batches.accepted) {
    const { output_file_id: output, error_file_id: errors } = await batches.see(batch.id, giveUp);
    const good = await idsIn(output, client, giveUp);
    const bad = await idsIn(errors, client, giveUp);
    outputLines += good.length;
    errorLines += bad.length;
    const flaw = flawOf(batch, [...good, ...bad]);
    if (flaw !== null) flaws.push(`${batch.id}: ${flaw}`);
  }
  return {
    figures: { batches: batches.accepted.length, outputLines, errorLines },
    violations: [await ledger.violation('I7', 'batches have files with other lines than their input', flaws)],
  };
}

async function idsIn(fileId: string | null, client: StubbornClient, giveUp: AbortSignal): Promise<string[]> {
  if (fileId === null) return [];
  const { status, text } = await client.ask('GET', `/v1/files/${fileId}/content`, null, {}, giveUp);
  if (status !== 200) throw new Error(`GET /v1/files/${fileId}/content: ${status} ${text}`);
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => (JSON.parse(line) as { custom_id: string }).custom_id);
}

function flawOf({ customIds }: AcceptedBatch, found: readonly string[]): string | null {
  const ids = new Set(found);
  const missing = customIds.filter((id) => !ids.has(id));
  if (missing.length > 0)
    return `${missing.length} lines are missing, such as ${missing.slice(0, 5).join(', ')}`;
  if (found.length !== customIds.length) return `${found.length} lines for ${customIds.length} of the input`;
  return null;
}
