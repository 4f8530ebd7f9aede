const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

/**
 * Returns the CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `text` in UTF-8 as
 * eight lower-case hexadecimal digits.
 */
export function crc32c(text: string): string {
  let crc = ~0;
  for (const byte of new TextEncoder().encode(text)) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!;
  return (~crc >>> 0).toString(16).padStart(8, "0");
}
