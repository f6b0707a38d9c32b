/** Tells a person what they should know: a process warning, which Node writes to stderr, once for each sentence. */

const SENTENCES_MAX = 100; // one that is told differently each time must not fill memory

/** Tells each sentence once, until it is told that all is well again. */
export class Told {
  readonly #sentences = new Set<string>();

  say(sentence: string): void {
    if (this.#sentences.has(sentence) || this.#sentences.size >= SENTENCES_MAX) return;
    this.#sentences.add(sentence);
    process.emitWarning(sentence, "ControlZeroWarning");
  }

  allIsWell(): void {
    this.#sentences.clear();
  }
}
