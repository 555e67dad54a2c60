/** Lists that change while one looks at them: elements stay as long as what they stand for does, and so do focus and place. */

/** Sets a text only if it is another one, so that a selection in it stays. */
export function say(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** What stands for one item: its element, and how it is brought up to date. */
export interface Part<T> {
  element: HTMLElement;
  update(item: T): void;
}

export class Keyed<T> {
  private parts = new Map<string, Part<T>>();

  constructor(
    readonly container: HTMLElement,
    private key: (item: T) => string,
    private make: (item: T) => Part<T>,
  ) {}

  show(items: T[]): void {
    // First what goes: then nothing that stays has to move, which would take its focus.
    const stays = new Set(items.map(this.key));
    for (const [key, part] of this.parts) {
      if (stays.has(key)) continue;
      part.element.remove();
      this.parts.delete(key);
    }
    let before: ChildNode | null = this.container.firstChild;
    for (const item of items) {
      const key = this.key(item);
      let part = this.parts.get(key);
      if (!part) {
        part = this.make(item);
        this.parts.set(key, part);
      }
      part.update(item);
      if (part.element === before) before = before.nextSibling;
      else this.container.insertBefore(part.element, before);
    }
  }

  get(key: string): Part<T> | undefined {
    return this.parts.get(key);
  }
}
