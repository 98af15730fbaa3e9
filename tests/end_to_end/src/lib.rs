//! The suite over every runner, and the product as its users meet it.
