/** What has to be undone at the end, whatever the end is. */
export class CleanUp {
  private readonly steps: Array<() => Promise<unknown>> = [];
  private running: Promise<void> | null = null;

  /** This must be undone before what was told earlier. */
  later(step: () => Promise<unknown>): void {
    this.steps.push(step);
  }

  /** One for a part of the work, that may be run before; at the latest it is when this one is. */
  inner(): CleanUp {
    const inner = new CleanUp();
    this.later(() => inner.run());
    return inner;
  }

  /** Undoes everything, the last first. Again is harmless. A step that fails is told of and does not keep the others. */
  run(): Promise<void> {
    return (this.running ??= this.undo());
  }

  private async undo(): Promise<void> {
    for (let step = this.steps.pop(); step !== undefined; step = this.steps.pop()) {
      await step().catch((error: unknown) => console.error(error));
    }
  }
}
