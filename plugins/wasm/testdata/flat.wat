;; Two contacts in the flat form, with a revision.
(module
  (import "rosterd_v1" "output_write" (func $output_write (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0)
    "RF\01\01"                     ;; max_age and rev follow
    "\2c\01\00\00" "\02\0042"      ;; 300 s, "42"
    "\02\00\00\00"                 ;; two contacts
    "\03" "\11\00marie@example.com" "\05\00Marie" "\01" "\07\00Friends"
    "\0d" "\10\00jack@example.com" "\00\00" "\02" "\01\00B" "\01\00A")
  (func (export "rosterd_abi_v1"))
  (func (export "rosterd_fetch") (result i32)
    (call $output_write (i32.const 0) (i32.const 81))))
