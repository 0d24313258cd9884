// Finding out what would come of something, while somebody types it.
import { Refusal } from "./api.js";
import { t } from "./texts.js";

const PAUSE_MILLISECONDS = 300;

/**
 * A question that is asked anew after each change of a form. `send` is given a signal and asks,
 * `show` has the answer, `wrong` a sentence about why there is none; `box` is where it is shown.
 */
export class Trial {
  constructor(box, { send, show, wrong }) {
    Object.assign(this, { box, send, show, wrong, waiting: null, asking: null });
  }

  /** Ask once nothing more is typed for a moment. */
  soon() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.now(), PAUSE_MILLISECONDS);
  }

  async now() {
    this.end();
    this.asking = new AbortController();
    const { signal } = this.asking;
    this.box.setAttribute("aria-busy", "true");
    try {
      const answer = await this.send(signal);
      if (!signal.aborted) this.show(answer);
    } catch (error) {
      if (error.name === "AbortError" || signal.aborted) return;
      if (error instanceof Refusal && error.status === 503) {
        this.waiting = setTimeout(() => this.now(), 4 * PAUSE_MILLISECONDS);
        return;
      }
      this.wrong(error instanceof Refusal ? error.message : t("awayShort"), error);
    } finally {
      if (!signal.aborted) this.box.removeAttribute("aria-busy");
    }
  }

  /** Ask no more, and show nothing of what is on its way. */
  end() {
    clearTimeout(this.waiting);
    this.asking?.abort();
    this.box.removeAttribute("aria-busy");
  }
}
