;; It sleeps for 20 seconds.
(module
  (import "rosterd_v1" "input_len" (func $input_len (result i32)))
  (import "rosterd_v1" "output_write" (func $output_write (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "RF\01\00\01\00\00\00\03\12\00friend@example.com\00\00\00")
  (func (export "rosterd_abi_v1"))
  (func (export "rosterd_fetch") (result i32)
    (if (i32.lt_u (call $input_len) (i32.const 600)) ;; an innocent user has a short name
      (then (return (call $output_write (i32.const 16) (i32.const 32)))))
    ;; a subscription: what for at +8, 0 is a clock; which at +16, 1 is the monotonic one; the nanoseconds at +24
    (i32.store (i32.const 1040) (i32.const 1))
    (i64.store (i32.const 1048) (i64.const 20000000000))
    (drop (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 3072)))
    (call $output_write (i32.const 16) (i32.const 32))))
