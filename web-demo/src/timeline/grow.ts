/** An array of 32-bit numbers that grows at its end. */
export class Grow {
  private space = new Uint32Array(1024);
  length = 0;

  get numbers(): Uint32Array {
    return this.space;
  }

  at(index: number): number {
    return this.space[index] ?? 0;
  }

  push(more: Uint32Array): void {
    const length = this.length + more.length;
    if (length > this.space.length) {
      const space = new Uint32Array(Math.max(length, this.space.length * 2));
      space.set(this.space.subarray(0, this.length));
      this.space = space;
    }
    this.space.set(more, this.length);
    this.length = length;
  }

  cut(length: number): void {
    this.length = Math.min(this.length, length);
  }
}
