;; Its table takes all memory there is.
(module
  (import "rosterd_v1" "input_len" (func $input_len (result i32)))
  (import "rosterd_v1" "output_write" (func $output_write (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (table $t 1 funcref)
  (data (i32.const 16) "RF\01\00\01\00\00\00\03\12\00friend@example.com\00\00\00")
  (func (export "rosterd_abi_v1"))
  (func (export "rosterd_fetch") (result i32)
    (if (i32.lt_u (call $input_len) (i32.const 600)) ;; an innocent user has a short name
      (then (return (call $output_write (i32.const 16) (i32.const 32)))))
    (loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000000)) (i32.const -1))))
    (table.size $t)))
