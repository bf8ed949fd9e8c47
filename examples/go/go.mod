module gatehouse.example/orders

go 1.19
