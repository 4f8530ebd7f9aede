/** Time and chance, so that a test can bring its own. */
export interface Clock {
  /** Milliseconds since any fixed moment. */
  now(): number;
  /** Calls `run` once after `ms` milliseconds; the answer is for `cancel`. */
  after(ms: number, run: () => void): unknown;
  /** Takes an `after` back; undefined and what has run already are ignored. */
  cancel(timer: unknown): void;
  /** A number in [0, 1). */
  random(): number;
}

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, run) => setTimeout(run, ms),
  cancel: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout> | undefined),
  random: Math.random,
};

/**
 * Waits that double from `first` to `most` milliseconds, each shortened at
 * random by up to half, so that many clients do not come back at one moment.
 */
export class Backoff {
  #tries = 0;

  constructor(
    private readonly clock: Clock,
    private readonly first: number,
    private readonly most: number,
  ) {}

  /** Returns the next wait in milliseconds. */
  next(): number {
    const full = Math.min(this.most, this.first * 2 ** Math.min(this.#tries++, 30));
    return full * (0.5 + this.clock.random() / 2);
  }

  /** Begins at `first` again. */
  reset(): void {
    this.#tries = 0;
  }
}
