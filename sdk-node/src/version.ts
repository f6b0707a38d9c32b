/** The version of the package, and the name records and requests give it. */

export const VERSION = "0.1.0";
export const SDK = `controlzero-node/${VERSION}`;
