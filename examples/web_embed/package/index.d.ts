/**
 * What a picture may be. It is fitted to the size that the network takes as the file says: cropped,
 * padded with black or stretched. What is transparent is black. A picture of another site that does
 * not allow to be read is refused by the browser (`SecurityError`).
 */
export type Picture = ImageBitmap | HTMLCanvasElement | OffscreenCanvas | HTMLImageElement | HTMLVideoElement;

/** A convolutional network from a safetensors file, on the visitor's GPU. */
export class Network {
  private constructor(handle: unknown);

  /**
   * Loads a file that striate's `Trainer::save` wrote, from an address or as bytes. `rate` is the
   * learning rate of `train`, 0.001 unless given. Rejects with an `Error` whose `name` is its kind:
   * `NoAdapter` without WebGPU, `Data` and `Checkpoint` for files that are no network's.
   */
  static load(source: string | URL | ArrayBuffer | Uint8Array, options?: { rate?: number }): Promise<Network>;

  /** Names of the classes, in the order of shares. */
  readonly classes: string[];

  /** The share of each class; they add up to 1. The picture is taken at the call. */
  run(picture: Picture): Promise<Float32Array>;

  /**
   * One step on some pictures and the numbers of their classes; the loss before it. Rejects with a
   * `RangeError` where there is not one whole number for each picture, and with an `Error` of the
   * name `Shape` for a number of no class.
   */
  train(batch: { pictures: Picture[]; labels: number[] }): Promise<number>;

  /** A safetensors file of the network as it is now. */
  save(): Promise<Uint8Array>;

  /** Gives up its memory once what was asked for is done; it cannot be used afterwards. */
  free(): Promise<void>;
}
