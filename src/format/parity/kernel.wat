;; The parity kernel: sums of multiples of byte arrays over GF(2^8), 16 bytes at a time.
;;
;; A multiple of a byte is the sum of the multiples of its two halves, low nibble and high nibble, since multiplication
;; distributes over xor. Each half has 16 values, so its multiples fit one vector, and `swizzle` looks up all 16 bytes of
;; another vector in it at once (Plank, Greenan, Miller: "Screaming Fast Galois Field Arithmetic", FAST 2013).
;;
;; Memory, filled by simd-kernel.ts:
;;
;;         0   for each factor f of 256, 32 bytes: f·00 f·01 … f·0f, then f·00 f·10 … f·f0
;;      8192   the matrix, one byte for each factor, row by row: `outputs` rows of `inputs` bytes, at most 128 · 128
;;     32768   blocks of `stride` bytes: of each input one, then of each output one
;;
;; Assembled into kernel-bytes.ts by scripts/assemble-kernel.mjs; a test compares the two.
(module
  (memory (export "memory") 8 8) ;; 512 KiB, and never more: longer arrays come block by block
  (global $matrix (export "matrixAt") i32 (i32.const 8192))
  (global $blocks (export "blocksAt") i32 (i32.const 32768))

  ;; output[j] = (output[j] if `add`, else 0) + Σ matrix[j][i] · input[i]
  ;; for the first `columns` bytes of each block, rounded up to whole steps of 64: `stride` is a multiple of 64.
  ;; `inputs`, `outputs` and `columns` are 1 or more.
  (func (export "combine")
    (param $inputs i32) (param $outputs i32) (param $stride i32) (param $columns i32) (param $add i32)
    (local $row i32)      ;; first factor of output j
    (local $rowEnd i32)   ;; behind its last
    (local $factor i32)   ;; factor of input i in it
    (local $column i32)   ;; 64 of them in a step
    (local $output i32)   ;; block of output j
    (local $to i32)       ;; this step in it
    (local $from i32)     ;; this step in the block of input i
    (local $table i32)
    (local $low v128)     ;; multiples of 00 … 0f
    (local $high v128)    ;; multiples of 00, 10 … f0
    (local $nibble v128)  ;; 0f in each byte
    (local $x v128)
    (local $sum0 v128) (local $sum1 v128) (local $sum2 v128) (local $sum3 v128)

    (local.set $nibble (i8x16.splat (i32.const 0x0f)))
    (local.set $row (global.get $matrix))
    (local.set $output
      (i32.add (global.get $blocks) (i32.mul (local.get $inputs) (local.get $stride))))

    (loop $eachOutput
      (local.set $rowEnd (i32.add (local.get $row) (local.get $inputs)))
      (local.set $column (i32.const 0))

      (loop $eachStep
        (local.set $to (i32.add (local.get $output) (local.get $column)))
        (if (local.get $add)
          (then
            (local.set $sum0 (v128.load (local.get $to)))
            (local.set $sum1 (v128.load offset=16 (local.get $to)))
            (local.set $sum2 (v128.load offset=32 (local.get $to)))
            (local.set $sum3 (v128.load offset=48 (local.get $to))))
          (else
            (local.set $sum0 (v128.const i64x2 0 0))
            (local.set $sum1 (v128.const i64x2 0 0))
            (local.set $sum2 (v128.const i64x2 0 0))
            (local.set $sum3 (v128.const i64x2 0 0))))
        (local.set $from (i32.add (global.get $blocks) (local.get $column)))
        (local.set $factor (local.get $row))

        (loop $eachInput
          (local.set $table (i32.shl (i32.load8_u (local.get $factor)) (i32.const 5)))
          (local.set $low (v128.load (local.get $table)))
          (local.set $high (v128.load offset=16 (local.get $table)))

          ;; Four times the same: the tables are loaded once for 64 bytes, and four sums do not wait for one another.
          (local.set $x (v128.load (local.get $from)))
          (local.set $sum0 (v128.xor (local.get $sum0) (v128.xor
            (i8x16.swizzle (local.get $low) (v128.and (local.get $x) (local.get $nibble)))
            (i8x16.swizzle (local.get $high) (i8x16.shr_u (local.get $x) (i32.const 4))))))
          (local.set $x (v128.load offset=16 (local.get $from)))
          (local.set $sum1 (v128.xor (local.get $sum1) (v128.xor
            (i8x16.swizzle (local.get $low) (v128.and (local.get $x) (local.get $nibble)))
            (i8x16.swizzle (local.get $high) (i8x16.shr_u (local.get $x) (i32.const 4))))))
          (local.set $x (v128.load offset=32 (local.get $from)))
          (local.set $sum2 (v128.xor (local.get $sum2) (v128.xor
            (i8x16.swizzle (local.get $low) (v128.and (local.get $x) (local.get $nibble)))
            (i8x16.swizzle (local.get $high) (i8x16.shr_u (local.get $x) (i32.const 4))))))
          (local.set $x (v128.load offset=48 (local.get $from)))
          (local.set $sum3 (v128.xor (local.get $sum3) (v128.xor
            (i8x16.swizzle (local.get $low) (v128.and (local.get $x) (local.get $nibble)))
            (i8x16.swizzle (local.get $high) (i8x16.shr_u (local.get $x) (i32.const 4))))))

          (local.set $from (i32.add (local.get $from) (local.get $stride)))
          (local.set $factor (i32.add (local.get $factor) (i32.const 1)))
          (br_if $eachInput (i32.lt_u (local.get $factor) (local.get $rowEnd))))

        (v128.store (local.get $to) (local.get $sum0))
        (v128.store offset=16 (local.get $to) (local.get $sum1))
        (v128.store offset=32 (local.get $to) (local.get $sum2))
        (v128.store offset=48 (local.get $to) (local.get $sum3))
        (local.set $column (i32.add (local.get $column) (i32.const 64)))
        (br_if $eachStep (i32.lt_u (local.get $column) (local.get $columns))))

      (local.set $row (local.get $rowEnd))
      (local.set $output (i32.add (local.get $output) (local.get $stride)))
      (local.set $outputs (i32.sub (local.get $outputs) (i32.const 1)))
      (br_if $eachOutput (local.get $outputs)))))
