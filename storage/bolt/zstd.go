package bolt

import (
	"sync"

	"github.com/klauspost/compress/zstd"
)

// encoders are zstd encoders by how hard they try. The best one takes tens of megabytes,
// which the collector takes back when it is not used.
var encoders = map[zstd.EncoderLevel]*sync.Pool{
	zstd.SpeedFastest:         newEncoders(zstd.SpeedFastest),
	zstd.SpeedDefault:         newEncoders(zstd.SpeedDefault),
	zstd.SpeedBestCompression: newEncoders(zstd.SpeedBestCompression),
}

func newEncoders(level zstd.EncoderLevel) *sync.Pool {
	return &sync.Pool{New: func() any {
		// Values have checksums of their own, and are in one piece. The options are known
		// to be valid, so there is no error.
		e, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithAllLitEntropyCompression(true))
		return e
	}}
}

// decoder is used by all goroutines.
var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, _ := zstd.NewReader(nil, zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxExpanded))
	return d
})

// maxExpanded bounds what is decompressed at once, in bytes.
const maxExpanded = 1 << 30

// smallData is what the best encoder makes nothing more of than others do, in bytes: it
// would clear its tables of many megabytes for it.
const smallData = 4 << 10

// compress returns data in the smallest form that one of the levels makes; data itself
// when none makes it smaller.
func compress(data []byte, levels ...zstd.EncoderLevel) []byte {
	best := data
	for _, level := range levels {
		if level == zstd.SpeedBestCompression && len(data) <= smallData {
			level = zstd.SpeedDefault
		}
		e := encoders[level].Get().(*zstd.Encoder)
		packed := e.EncodeAll(data, nil)
		encoders[level].Put(e)
		if len(packed) < len(best) {
			best = packed
		}
	}
	return best
}

// hardest are the levels for what is written once and kept for good: columns of small
// numbers are often smaller when no repetitions are looked for.
var hardest = []zstd.EncoderLevel{zstd.SpeedBestCompression, zstd.SpeedFastest}

// expand returns the size bytes that compress was given. Nothing is allocated for damaged
// data that makes more.
func expand(packed []byte, size int) ([]byte, error) {
	if len(packed) == size {
		return packed, nil
	}
	var h zstd.Header
	if err := h.Decode(packed); err != nil || !h.HasFCS || h.FrameContentSize != uint64(size) || size > maxExpanded {
		return nil, corrupt("%d compressed bytes do not make %d", len(packed), size)
	}
	data, err := decoder().DecodeAll(packed, make([]byte, 0, size))
	if err != nil || len(data) != size {
		return nil, corrupt("%d compressed bytes make %d, should make %d: %v", len(packed), len(data), size, err)
	}
	return data, nil
}
